"""Corrections of stock over HTTP: what somebody counted is recorded, with why, and is never below what is reserved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.evidence import open_evidence
from core.audit.verification import Verification
from core.domain.inventory import InventoryReserved
from core.domain.message import Metadata, OrderId, ReservationId, Sku, StreamId, inventory_stream
from core.ports.log import Accepted, Append, Entry, NewEvent
from core.sagas import SAGAS
from tests.support.command_api import CommandApi, command_api, problem
from tests.support.query_api import query_api
from tests.support.saga_cases import make_unreadable

COUNTED = {"quantity": -3, "reason": "counted: 3 fell off the shelf"}


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CommandApi]:
    async with command_api(postgres, template, tmp_path_factory.mktemp("api")) as ready:
        yield ready


async def adjust(api: CommandApi, sku: str, body: Any, query: str = "", **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.http.post(f"/api/v1/inventory/{sku}/adjustments{query}", json=body, headers=names)


async def stocked(api: CommandApi, quantity: int, reserved: int = 0) -> str:
    """A SKU of its own with this quantity on hand, of which so many are reserved."""
    sku = f"SKU-{uuid4().hex[:8]}"
    assert (await api.receive(sku, {"quantity": quantity})).status_code == 201
    if reserved:
        order, held = OrderId(uuid4()), ReservationId(uuid4())
        event = InventoryReserved(sku=Sku(sku), reservation_id=held, order_id=order, quantity=reserved)
        new = NewEvent(uuid4(), event, Metadata(correlation_id=order))
        entry = Entry(inventory_stream(Sku(sku)), "inventory", 1, [new])
        assert isinstance(await api.store.append(Append([entry])), Accepted)
    return sku


async def events(api: CommandApi, sku: str) -> list[tuple[str, Any]]:
    recorded = await api.store.load(StreamId(inventory_stream(Sku(sku))))
    return [(type(each.event).__name__, getattr(each.event, "quantity", None)) for each in recorded]


async def test_a_count_changes_what_is_available_and_a_key_repeats_its_answer(api: CommandApi) -> None:
    sku, key = await stocked(api, 10), str(uuid4())
    first = await adjust(api, sku, COUNTED, Idempotency_Key=key, Orderdeck_Actor="ada")
    assert (first.status_code, first.json()["available"], first.json()["version"]) == (201, 7, 2)
    again = await adjust(api, sku, COUNTED, Idempotency_Key=key, Orderdeck_Actor="ada")
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    found = await adjust(api, sku, {"quantity": 5, "reason": "found behind the shelf"}, If_Match='"2"')
    assert found.json()["available"] == 12
    problem(await adjust(api, sku, COUNTED, If_Match='"2"'), 412, "precondition_failed")
    shown = (await adjust(api, sku, COUNTED, "?dry_run=true")).json()["events"]
    assert [event["payload"] for event in shown] == [{"sku": sku, **COUNTED}]
    assert await events(api, sku) == [("StockReplenished", 10), ("StockAdjusted", -3), ("StockAdjusted", 5)]
    recorded = await api.store.load(StreamId(inventory_stream(Sku(sku))))
    assert recorded[1].metadata.user_id == "ada"


async def test_a_correction_never_goes_below_what_is_reserved(api: CommandApi) -> None:
    sku = await stocked(api, 10, reserved=4)
    refused = problem(await adjust(api, sku, {"quantity": -7, "reason": "counted"}), 400, "not_allowed")
    assert refused["detail"] == f"cannot take 7 off the stock of {sku}: 6 are available and 4 reserved"
    assert (await adjust(api, sku, {"quantity": -6, "reason": "counted"})).json()["available"] == 0
    problem(await adjust(api, sku, {"quantity": -1, "reason": "counted"}), 400, "not_allowed")


async def test_of_many_corrections_at_once_only_as_many_are_recorded_as_there_is_stock_for(api: CommandApi) -> None:
    sku = await stocked(api, 10)
    answers = await asyncio.gather(*(adjust(api, sku, COUNTED) for _ in range(16)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [400] * 13
    assert sum(quantity for _, quantity in await events(api, sku)) == 1


WRONG: list[tuple[Any, tuple[str, ...]]] = [
    ({"quantity": 0, "reason": "r"}, ("quantity",)),
    ({"quantity": -1_000_000_001, "reason": "r"}, ("quantity",)),
    ({"quantity": 10**30, "reason": "r"}, ("quantity",)),
    ({"quantity": 1.5, "reason": "r"}, ("quantity",)),
    ({"quantity": "-1", "reason": "r"}, ("quantity",)),
    ({"quantity": True, "reason": "r"}, ("quantity",)),
    ({"quantity": None, "reason": "r"}, ("quantity",)),
    ({"reason": "r"}, ("quantity",)),
    ({"quantity": -1}, ("reason",)),
    ({"quantity": -1, "reason": " "}, ("reason",)),
    ({"quantity": -1, "reason": "x" * 501}, ("reason",)),
    ({"quantity": 0, "reason": ""}, ("quantity", "reason")),
]


async def test_a_correction_that_is_not_valid_or_of_an_unknown_sku_is_refused_and_nothing_is_recorded(
    api: CommandApi,
) -> None:
    sku = await stocked(api, 10)
    head = await api.head()
    for body, fields in WRONG:
        problem(await adjust(api, sku, body), 400, "validation_failed", *fields)
    refused = problem(await adjust(api, "NEVER-SEEN", COUNTED), 404, "not_found")
    assert refused["detail"] == "there is no SKU NEVER-SEEN"
    problem(await adjust(api, "A%20B", COUNTED), 400, "validation_failed", "sku")
    raw = b'{"quantity": -1e400, "reason": "r"}'
    answer = await api.http.post(
        f"/api/v1/inventory/{sku}/adjustments", content=raw, headers={"Content-Type": "application/json"}
    )
    problem(answer, 400, "validation_failed", "quantity")
    assert await api.head() == head


async def test_the_level_of_a_sku_and_verify_count_corrections(
    api: CommandApi, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sku = await stocked(api, 10)
    for quantity in (-3, 4, -1):
        assert (await adjust(api, sku, {"quantity": quantity, "reason": "counted"})).status_code == 201
    async with query_api(api.dsn, tmp_path_factory.mktemp("queries")) as queries:
        await queries.project()
        level = await queries.get(f"/api/v1/inventory/{sku}")
        assert (level["on_hand"], level["reserved"], level["available"], level["version"]) == (10, 0, 10, 4)
        shown = (await queries.get("/api/v1/events", type="StockAdjusted", limit=1000))["events"]
        assert json.loads(json.dumps(shown[-1]["payload"])) == {"sku": sku, "quantity": -1, "reason": "counted"}
    async with open_evidence(lambda: connect(api.dsn, name="verify"), wait=0) as evidence:
        report = await Verification(evidence, SAGAS, None, lambda _done, _of: None).run()
    stream = UUID(str(inventory_stream(Sku(sku))))
    assert [finding for finding in report.violations if finding.stream == stream] == []
    assert report.notes == [note for note in report.notes if "no rule" not in note]
    assert report.events == await api.head()


async def test_stock_with_an_event_of_a_later_release_is_not_decided_on(api: CommandApi) -> None:
    await api.receive("FROM-LATER", {"quantity": 5})
    await make_unreadable(api.dsn, inventory_stream(Sku("FROM-LATER")))
    head = await api.head()
    for path, body in (("receipts", {"quantity": 1}), ("adjustments", {"quantity": -1, "reason": "counted"})):
        answer = await api.http.post(f"/api/v1/inventory/FROM-LATER/{path}", json=body)
        refused = problem(answer, 503, "unknown_event")
        assert refused["error"] == "this release does not know event FromALaterRelease in schema 1"
        assert answer.headers["retry-after"] == "60"
    assert await api.head() == head
