"""A customer whose data is sealed is shown by every answer until an operator erases the customer, and then by none."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace
from pydantic import SecretStr
from uuid_utils.compat import uuid7

from core.adapters.postgres.embedded import binaries
from core.audit.verification import Verification
from core.bootstrap import freeze_evidence
from core.domain.message import Metadata, StreamId
from core.domain.sealed_customer import customer_of
from core.ports.log import Accepted, Append, Entry, NewEvent
from core.sagas import SAGAS
from core.settings import Settings
from tests.support.command_api import ORDER, CommandApi
from tests.support.logins import of_daemons
from tests.support.query_api import QueryApi, query_api
from tests.support.samples import ORDER_ID, created

STREET = "Quellenstrasse 17"
CUSTOMER = "mila.novak@example.com"
ADDRESS = {"street": STREET, "city": "Wolfsbergtal", "zip": "9990", "country": "AT"}
MOVED_TO = {"street": "Neue Gasse 3", "city": "Wien", "zip": "1010", "country": "AT"}
SECRETS = (STREET, "Wolfsbergtal", CUSTOMER)
PLACED = ORDER | {"customer_id": CUSTOMER, "shipping_address": ADDRESS}
WORD = "erased"
UNREADABLE = dict.fromkeys(("street", "city", "state", "zip", "country"), "unreadable")
ERASED = dict.fromkeys(("street", "city", "state", "zip", "country"), WORD)


@pytest.fixture
async def commands(dsn: str, tmp_path: Path) -> AsyncIterator[CommandApi]:
    api = CommandApi(dsn, tmp_path, {"ORDERDECK_SEAL_CUSTOMERS": "true"})
    await api.start()
    yield api
    await api.close()


@pytest.fixture
async def queries(dsn: str, tmp_path: Path) -> AsyncIterator[QueryApi]:
    async with query_api(dsn, tmp_path) as api:
        yield api


async def erase(commands: CommandApi, customer: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"customer_id": customer, "reason": "asked for it by letter"}
    answer = await commands.http.post("/api/v1/admin/erasures", json=body, headers=named)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def dump(dsn: str) -> str:
    """All that is in the database, as a backup has it."""
    command = [str(binaries() / "pg_dump"), "--inserts", dsn]
    return (await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)).stdout


async def violations(dsn: str, home: Path) -> Any:
    settings = Settings(home=home, database_url=SecretStr(of_daemons(dsn)), owner_url=SecretStr(dsn))
    async with freeze_evidence(settings, wait=0) as evidence:
        return (await Verification(evidence, SAGAS, None, lambda _done, _of: None).run()).violations


async def first_frame(queries: QueryApi) -> Any:
    async with queries.client.stream("GET", "/api/v1/events/stream?after=0&type=OrderCreated") as response:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))["payload"]
    return None


async def shown(queries: QueryApi, order_id: str, customer: str) -> list[tuple[Any, Any]]:
    """The customer and the address in every kind of answer that has them."""
    page = {"events": "payload", "orders": None}
    found: list[Any] = [
        await queries.get(f"/api/v1/orders/{order_id}"),
        await queries.get(f"/api/v1/orders/{order_id}", as_of="1"),
        await first_frame(queries),
    ]
    for path, parameters in (
        (f"orders/{order_id}/events", {}),
        (f"orders/{order_id}/timeline", {}),
        ("events", {"type": "OrderCreated", "order_id": order_id}),
        ("events", {"type": "OrderCreated", "order_id": order_id, "schema": "stored"}),
        ("admin/events", {"type": "OrderCreated", "order_id": order_id, "schema": "stored"}),
        (f"admin/streams/{order_id}", {"limit": "1"}),
        ("orders", {"not_customer_id": "customer-1"}),
        (f"customers/{customer}/orders", {}),
        ("orders", {"customer_id": customer}),
    ):
        answer = await queries.get(f"/api/v1/{path}", **parameters)
        name, part = next((name, part) for name, part in page.items() if name in answer)
        found += [one[part] if part else one for one in answer[name]]
    return [(one["customer_id"], one["shipping_address"]) for one in found]


async def test_an_erased_customer_is_erased_from_every_answer_and_was_never_in_a_table(
    commands: CommandApi, queries: QueryApi, dsn: str, tmp_path: Path
) -> None:
    order = await commands.create(PLACED, Idempotency_Key="o-1")
    assert order.status_code == 201, order.text
    order_id = order.json()["order_id"]
    assert (await commands.create(PLACED, Idempotency_Key="o-1")).json() == order.json()
    assert (await commands.create(ORDER)).status_code == 201  # another customer's, which stays as it is
    await queries.project()

    assert await shown(queries, order_id, CUSTOMER) == [(CUSTOMER, ADDRESS)] * 12
    others = await queries.get("/api/v1/orders", not_customer_id=CUSTOMER)
    assert [one["customer_id"] for one in others["orders"]] == ["customer-1"]
    summary = await queries.get(f"/api/v1/customers/{CUSTOMER}/summary")
    assert (summary["customer_id"], summary["orders"]) == (CUSTOMER, 1)
    before = await dump(dsn)
    assert [secret for secret in SECRETS if secret in before] == []

    name = await raw_customer(dsn, order_id)
    dry = await commands.http.post(
        "/api/v1/admin/erasures?dry_run=true", json={"customer_id": CUSTOMER, "reason": "to see"}
    )
    assert [event["event_type"] for event in dry.json()["events"]] == ["CustomerErased"]
    assert await shown(queries, order_id, CUSTOMER) == [(CUSTOMER, ADDRESS)] * 12

    first = await erase(commands, CUSTOMER, Idempotency_Key="e-1", Orderdeck_Actor="ada")
    assert await shown(queries, order_id, name) == [(WORD, ERASED)] * 12, "the keys that were remembered count no more"
    assert first["status"] == "ERASED"
    assert first["customer"] == str(customer_of(name))
    assert await erase(commands, CUSTOMER, Idempotency_Key="e-1", Orderdeck_Actor="ada") == first
    assert (await erase(commands, CUSTOMER))["status"] == "NOTHING_SEALED"
    assert (await erase(commands, name))["position"] == first["position"]
    assert await shown(queries, order_id, name) == [(WORD, ERASED)] * 12
    act = (await queries.get("/api/v1/events", category="customer"))["events"]
    assert [(event["payload"]["by"], event["payload"]["reason"]) for event in act] == [
        ("ada", "asked for it by letter")
    ]
    assert (await queries.get(f"/api/v1/customers/{CUSTOMER}/orders"))["orders"] == []
    await queries.get(f"/api/v1/customers/{CUSTOMER}/summary", 404)

    # The order goes on, what is made anew of the log says erased as well, and the books still add up.
    assert (await commands.put(order_id, "cancel", {"reason": "no longer wanted"})).status_code == 200
    await queries.project()
    assert (await queries.get(f"/api/v1/orders/{order_id}"))["shipping_address"] == ERASED
    assert await violations(dsn, tmp_path) == []
    after = await dump(dsn)
    assert [secret for secret in SECRETS if secret in after] == []

    # Whoever orders again is a new customer to the log.
    again = (await commands.create(PLACED)).json()["order_id"]
    await queries.project()
    assert (await queries.get(f"/api/v1/orders/{again}"))["shipping_address"] == ADDRESS
    assert await raw_customer(dsn, again) != name


async def test_a_sealed_address_that_somebody_copies_into_another_order_opens_only_where_it_was_sealed(
    commands: CommandApi, queries: QueryApi, dsn: str, tmp_path: Path
) -> None:
    """Whoever can write the tables cannot have an order sent to an address that was given for another one."""
    first = (await commands.create(PLACED)).json()["order_id"]
    label = {"type": "card", "label": "Visa of Mila"}
    second = (await commands.create(PLACED | {"shipping_address": MOVED_TO, "payment_method": label})).json()[
        "order_id"
    ]
    await queries.project()
    assert (await queries.get(f"/api/v1/orders/{second}"))["shipping_address"] == MOVED_TO
    [placed] = (await queries.get(f"/api/v1/orders/{second}/events"))["events"]
    assert placed["payload"]["payment_method"] == label
    assert "Visa of Mila" not in await dump(dsn)
    assert await violations(dsn, tmp_path) == []

    owner = await asyncpg.connect(dsn)
    await owner.execute("ALTER TABLE events DISABLE TRIGGER USER")
    copied = "(SELECT payload -> 'shipping_address' FROM events WHERE stream_id = $1 AND version = 1)"
    one = "WHERE stream_id = $2 AND version = 1"
    kept = await owner.fetchval(f"SELECT payload FROM events {one.replace('$2', '$1')}", UUID(second))
    query = f"UPDATE events SET payload = jsonb_set(payload, '{{shipping_address}}', {copied}) {one}"
    await owner.execute(query, UUID(first), UUID(second))
    for path in (f"orders/{second}/events", f"orders/{second}/timeline", "events"):
        found = (await queries.get(f"/api/v1/{path}"))["events"]
        [payload] = [event["payload"] for event in found if event["aggregate_id"] == second]
        assert payload["shipping_address"] == UNREADABLE
    past = await queries.get(f"/api/v1/orders/{second}", as_of="2")
    assert past["shipping_address"] == UNREADABLE
    told = await what_verify_says(dsn, tmp_path)
    assert f"was sealed for event {await event_id(owner, first)} of order {first}" in told

    seal = json.loads(kept)["shipping_address"]["sealed"]
    changed = kept.replace(seal, f"{seal[:-9]}{'AAAA' if seal[-9:-5] != 'AAAA' else 'BBBB'}{seal[-5:]}")
    await owner.execute(f"UPDATE events SET payload = $1 {one}", changed, UUID(second))
    assert "what is sealed in OrderCreated was changed" in await what_verify_says(dsn, tmp_path)
    await owner.close()


async def test_orders_from_before_customers_are_sealed_are_listed_with_those_after_and_stay_in_the_clear(
    commands: CommandApi, queries: QueryApi, dsn: str, tmp_path: Path
) -> None:
    before = replace(created, customer_id=CUSTOMER)
    new = NewEvent(uuid7(), before, Metadata(correlation_id=ORDER_ID))
    assert isinstance(await commands.store.append(Append([Entry(StreamId(ORDER_ID), "order", 0, [new])])), Accepted)
    after = (await commands.create(PLACED)).json()["order_id"]
    await queries.project()

    listed = await queries.get(f"/api/v1/customers/{CUSTOMER}/orders")
    assert {one["order_id"] for one in listed["orders"]} == {str(ORDER_ID), after}
    summary = await queries.get(f"/api/v1/customers/{CUSTOMER}/summary")
    assert (summary["orders"], len(summary["totals"])) == (2, len({before.currency, "USD"}))
    counts = await queries.get("/api/v1/orders/counts", customer_id=CUSTOMER)
    assert counts["total"]["total"] == 2

    # A process that died between the record and the destruction leaves the key, which verify tells.
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    await connection.execute("CREATE TRIGGER die BEFORE UPDATE ON customer_keys FOR EACH ROW EXECUTE FUNCTION die()")
    first = await erase(commands, CUSTOMER)
    assert (first["status"], first["orders_in_the_clear"]) == ("ERASED", 1)
    [finding] = await violations(dsn, tmp_path)
    assert "the key of a customer who is erased is there" in finding.what
    await connection.execute("DROP TRIGGER die ON customer_keys")
    again = await erase(commands, await raw_customer(dsn, after))
    assert (again["status"], again["orders_in_the_clear"]) == ("ERASED", 1)
    assert await violations(dsn, tmp_path) == []
    third = await erase(commands, CUSTOMER)
    assert (third["status"], third["orders_in_the_clear"]) == ("NOTHING_SEALED", 1)
    with pytest.raises(asyncpg.RestrictViolationError, match="is erased"):
        await connection.execute("UPDATE customer_keys SET erased_at = NULL, lookup = '', key = '', reference = ''")
    await connection.close()
    listed = await queries.get(f"/api/v1/customers/{CUSTOMER}/orders")
    assert [one["order_id"] for one in listed["orders"]] == [str(ORDER_ID)]
    before_it = await queries.get(f"/api/v1/orders/{ORDER_ID}")
    assert (before_it["customer_id"], before_it["shipping_address"]["street"]) == (
        CUSTOMER,
        before.shipping_address.street,
    )


async def test_a_customer_whose_reference_looks_like_a_pseudonym_and_an_erasure_without_a_reason_are_refused(
    commands: CommandApi,
) -> None:
    head = await commands.head()
    refused = await commands.create(PLACED | {"customer_id": f"sealed:{ORDER_ID}"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "customer_id")
    refused = await commands.create(PLACED | {"payment_method": {"type": "card", "label": "sealed: my card"}})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "payment_method.label")
    for body in ({"customer_id": CUSTOMER, "reason": " "}, {"customer_id": CUSTOMER}, {"reason": "asked for it"}):
        answer = await commands.http.post("/api/v1/admin/erasures", json=body)
        assert answer.status_code == 400, answer.text
    for nobody in ("", "  ", "m" * 101, "mila\n"):
        answer = await commands.http.post(
            "/api/v1/admin/erasures", json={"customer_id": nobody, "reason": "asked for it"}
        )
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "customer_id"), nobody
    assert (await erase(commands, f"sealed:{ORDER_ID}"))["status"] == "NOTHING_SEALED"
    assert await commands.head() == head


async def what_verify_says(dsn: str, home: Path) -> str:
    return "\n".join(finding.what for finding in await violations(dsn, home))


async def event_id(owner: asyncpg.Connection, order_id: str) -> str:
    return str(await owner.fetchval("SELECT event_id FROM events WHERE stream_id = $1 AND version = 1", UUID(order_id)))


async def raw_customer(dsn: str, order_id: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        query = "SELECT payload ->> 'customer_id' FROM events WHERE stream_id = $1 AND version = 1"
        return str(await connection.fetchval(query, UUID(order_id)))
    finally:
        await connection.close()


async def test_in_a_database_without_the_keys_all_that_was_sealed_is_erased_and_new_orders_are_not(
    commands: CommandApi, queries: QueryApi, dsn: str, tmp_path: Path
) -> None:
    """As it is after a restore of a backup that leaves the keys out."""
    order = (await commands.create(PLACED)).json()["order_id"]
    connection = await asyncpg.connect(dsn)
    await connection.execute("SET session_replication_role = replica; DELETE FROM customer_keys")
    await connection.close()
    after = (await commands.create(PLACED)).json()["order_id"]
    await queries.project()
    shown = await queries.get(f"/api/v1/orders/{order}")
    assert (shown["customer_id"], shown["shipping_address"]) == (WORD, ERASED)
    listed = await queries.get(f"/api/v1/customers/{CUSTOMER}/orders")
    assert [(one["order_id"], one["shipping_address"]["street"]) for one in listed["orders"]] == [(after, STREET)]
    assert await violations(dsn, tmp_path) == []
