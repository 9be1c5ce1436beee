"""Events that cannot be applied are put into a running log: their orders wait, all else flows, and a retry mends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from core.home import owner_url
from core.settings import load_settings
from tests.support.customers import Customers, eventually, open_customers
from tests.support.stack import Stack
from tui.app import DeckApp
from tui.http_gateway import HttpGateway

PATH = "/api/v1/admin/dead-letters"
LOCK = "SELECT pg_advisory_xact_lock(7236833)"
PUT = """
INSERT INTO events (position, stream_id, category, version, event_id, event_type, schema_version, payload, metadata,
                    correlation_id, recorded_at)
SELECT max(position) + 1, $1::uuid, 'order', $2, $3, $4, $5, $6::text::jsonb,
       jsonb_build_object('correlation_id', $1::uuid), $1::uuid, clock_timestamp() FROM events
"""
DELIVERED = '{{"order_id": "{}", "delivered_at": "2026-03-14T15:09:26Z"}}'


@pytest.fixture
async def customers(stack: Stack) -> AsyncIterator[Customers]:
    async with open_customers(stack) as customers:
        yield customers


async def shipped(customers: Customers) -> str:
    order = await customers.place()
    await customers.event_types_at_end(order)
    await customers.put(order, "ship", {"tracking_number": "1Z", "carrier": "UPS"})
    await customers.event_types_at_end(order)
    return order


async def test_two_orders_wait_behind_events_that_cannot_be_applied_and_a_retry_after_the_mend_applies_them(
    customers: Customers, stack: Stack
) -> None:
    unknown, broken, skipped = await asyncio.gather(*(shipped(customers) for _ in range(3)))
    settings = load_settings(home=stack.home.path)
    owner = await asyncpg.connect(owner_url(settings))
    for order, version, payload in (
        (unknown, 99, DELIVERED.format(unknown)),
        (broken, 1, '{"order_id": 7}'),
        (skipped, 1, "{}"),
    ):
        last = await owner.fetchval("SELECT max(version) FROM events WHERE stream_id = $1", UUID(order))
        async with owner.transaction():
            await owner.execute(LOCK)
            await owner.execute(PUT, UUID(order), last + 1, uuid7(), "OrderDelivered", version, payload)
    later = await asyncio.gather(*(shipped(customers) for _ in range(2)))  # everything else flows

    async def listed() -> dict[str, Any] | None:
        page = (await customers.queries.get(PATH)).json()
        rows = {letter["row"]: letter for letter in page["dead_letters"]}
        return rows if rows.keys() == {unknown, broken, skipped} else None

    letters = await eventually(listed, 10)
    assert "OrderDelivered in schema 99" in letters[unknown]["error"]
    await the_deck_shows(stack, list(letters.values()))
    for order in later:
        assert (await customers.queries.get(f"/api/v1/orders/{order}")).json()["status"] == "SHIPPED"
    shown = await customers.queries.get(f"/api/v1/orders/{unknown}")
    assert (shown.json()["status"], shown.headers["orderdeck-waits-behind"]) == (
        "SHIPPED",
        str(letters[unknown]["position"]),
    )
    refused = await customers.queries.get(f"/api/v1/orders/{unknown}", params={"min_version": "99"})
    assert (refused.status_code, "it waits behind OrderDelivered" in refused.json()["detail"]) == (409, True)
    retry = f"{PATH}/{letters[broken]['id']}/retry"
    tried = await customers.commands.post(retry, json={"reason": "r"}, params={"dry_run": "true"})
    assert (tried.status_code, tried.json()["trials"][0]["applied"]) == (200, 0)
    still = stack.orderdeck("deadletters", "retry", "--all", "--reason", "too early", "--json")
    assert (still.returncode, json.loads(still.stdout)["failing"]) == (1, 3)

    await owner.execute("ALTER TABLE events DISABLE TRIGGER ALL")
    for order in (unknown, broken):
        mended = "UPDATE events SET schema_version = 1, payload = $2::text::jsonb WHERE position = $1"
        await owner.execute(mended, letters[order]["position"], DELIVERED.format(order))
    await owner.execute("ALTER TABLE events ENABLE TRIGGER ALL")
    key = {"Idempotency-Key": str(uuid7()), "Orderdeck-Actor": "ada"}
    skip = f"{PATH}/{letters[skipped]['id']}/skip"
    done = await customers.commands.post(skip, json={"reason": "never happened"}, headers=key)
    assert (done.status_code, done.json()["done"]) == (200, 1), done.text
    again = await customers.commands.post(skip, json={"reason": "never happened"}, headers=key)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    all_ = await customers.commands.post(f"{PATH}/retry", json={"reason": "mended"})
    assert (all_.status_code, all_.json()["done"], all_.json()["failing"]) == (200, 2, 0), all_.text
    assert (await customers.commands.post(skip, json={"reason": "again"})).status_code == 404
    assert stack.orderdeck("deadletters", "list").stdout.strip() == "every event was applied"

    for order in (unknown, broken):
        assert (await customers.queries.get(f"/api/v1/orders/{order}")).json()["status"] == "DELIVERED"
    told = (await customers.queries.get(f"/api/v1/orders/{skipped}/timeline")).json()["events"][-1]
    assert (told["event_type"], told["payload"]["by"]) == ("DeadLetterSkipped", "ada")
    audit = stack.orderdeck("verify", "--json")
    report = json.loads(audit.stdout)
    assert report["violations"] == [], report["violations"]
    assert any("vouched for by ada: never happened" in line for line in report["vouched"])
    await owner.execute("ALTER TABLE events DISABLE TRIGGER ALL")
    await owner.execute(
        "UPDATE events SET payload = $2::text::jsonb WHERE position = $1",
        letters[skipped]["position"], DELIVERED.format(skipped),
    )  # fmt: skip
    await owner.execute("ALTER TABLE events ENABLE TRIGGER ALL")
    await owner.close()


async def the_deck_shows(stack: Stack, letters: list[dict[str, Any]]) -> None:
    """Open the deck over this stack's services: its view of parked events has each of them."""
    urls = (f"http://127.0.0.1:{stack.port(port)}" for port in ("command", "query"))
    app = DeckApp(HttpGateway(*urls))
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.press("6")

        async def all_of_them() -> bool | None:
            await pilot.pause()
            shown = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
            rows = [f"order {letter['row'][-12:]}" for letter in letters]
            return True if "3 rows wait behind" in shown and all(row in shown for row in rows) else None

        await eventually(all_of_them, 20)
