"""The log over HTTP: an order's events, its whole story, everything from a position on; and sagas, stock, readers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from msgspec.structs import replace

from core import codec
from core.domain.message import SagaId, saga_of
from core.domain.saga import SagaCompleted, SagaStarted, SagaStepCompleted, SagaStepStarted
from tests.support.orders import Sample, order_id, write
from tests.support.query_api import QueryApi, query_api
from tests.support.saga_cases import make_unreadable
from tests.support.samples import ORDER_ID, authorized, cancelled, confirmed, created, replenished, reserved
from tests.support.stored_events import stored_events

SAGA = saga_of(ORDER_ID, "fulfil_order")
STORY = (
    created,
    SagaStarted(saga_id=SAGA, name="fulfil_order", definition=1, order_id=ORDER_ID),
    SagaStepCompleted(saga_id=SAGA, step="open_order"),
    reserved,
    SagaStepStarted(saga_id=SAGA, step="authorize_payment", direction="forward", attempt=1, key="k"),
    authorized,
    confirmed,
    SagaCompleted(saga_id=SAGA),
)
SAGA_ROW = """
INSERT INTO sagas VALUES ($1, $2, 1, $3, $4, 'a_step', $5, $6, 1, $7, 0, now() + $8 * interval '1 s',
                          now() - $9 * interval '1 s', now())
"""


@pytest.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[QueryApi]:
    async with query_api(dsn, tmp_path) as api:
        yield api


async def write_one_order(dsn: str) -> None:
    """Write the events of one order into the log, and other events between them."""
    events = [replace(event, correlation_id=ORDER_ID) for event in stored_events(STORY)]
    other = stored_events([replenished])[0]
    last = len(events) + 1
    await write(dsn, [*events, replace(other, position=last, stream=uuid4(), correlation_id=uuid4())])


def types(answer: Any) -> list[str]:
    return [event["event_type"] for event in answer["events"]]


async def test_the_query_api_gives_an_orders_own_events_and_its_whole_timeline(api: QueryApi) -> None:
    await write_one_order(api.dsn)
    own = await api.get(f"/api/v1/orders/{ORDER_ID}/events")
    assert types(own) == ["OrderCreated", "OrderConfirmed"]
    assert own["next_after"] == 2
    assert types(await api.get(f"/api/v1/orders/{ORDER_ID}/events", after=1)) == ["OrderConfirmed"]
    story = await api.get(f"/api/v1/orders/{ORDER_ID}/timeline")
    assert types(story) == [codec.event_type(type(event)) for event in STORY]
    assert [event["position"] for event in story["events"]] == list(range(1, len(STORY) + 1))
    page = await api.get(f"/api/v1/orders/{ORDER_ID}/timeline", limit=3, after=2)
    assert page["events"] == story["events"][2:5]
    assert page["next_after"] == 5


async def test_an_event_is_shown_in_its_envelope(api: QueryApi) -> None:
    await write_one_order(api.dsn)
    [first, _] = (await api.get(f"/api/v1/orders/{ORDER_ID}/events"))["events"]
    assert list(first) == [
        "event_id", "aggregate_id", "aggregate_type", "event_type", "event_version", "payload", "metadata",
        "timestamp", "version", "position",
    ]  # fmt: skip
    assert first["aggregate_id"] == first["payload"]["order_id"] == str(ORDER_ID)
    assert (first["aggregate_type"], first["event_version"], first["version"]) == ("order", 1, 1)


async def test_the_events_of_an_order_are_not_found_under_the_id_of_anything_else(api: QueryApi) -> None:
    await write_one_order(api.dsn)
    for nobody in (uuid4(), SAGA):
        await api.get(f"/api/v1/orders/{nobody}/events", 404)
        await api.get(f"/api/v1/orders/{nobody}/timeline", 404)


async def test_the_query_api_gives_the_log_from_a_position_on(api: QueryApi) -> None:
    log = Sample(30).events()
    await write(api.dsn, log)
    after, seen = 0, []
    while True:
        answer = await api.get("/api/v1/events", after=after, limit=7)
        assert answer["head"] == len(log)
        if not answer["events"]:
            break
        seen += [event["position"] for event in answer["events"]]
        after = answer["next_after"]
    assert seen == list(range(1, len(log) + 1))
    assert after == len(log)
    beyond = await api.get("/api/v1/events", after=after + 1_000)
    assert (beyond["events"], beyond["next_after"], beyond["head"]) == ([], after + 1_000, len(log))


async def test_the_query_api_gives_the_log_of_some_categories_and_types(api: QueryApi) -> None:
    await write_one_order(api.dsn)
    assert types(await api.get("/api/v1/events", category="payment")) == ["PaymentAuthorized"]
    some = await api.get("/api/v1/events", type="OrderConfirmed,InventoryReserved")
    assert types(some) == ["InventoryReserved", "OrderConfirmed"]
    assert some["next_after"] == len(STORY) + 1
    assert types(await api.get("/api/v1/events", type="payment*,*Reserved,PaymentAuthorized")) == types(
        await api.get("/api/v1/events", type="InventoryReserved,PaymentAuthorized")
    )
    for nonsense in ("OrderConfirmed,Nonsense", "Nonsense*", "[A-Z]*", "*", "Order?onfirmed*", ""):
        wrong = await api.get("/api/v1/events", 400, type=nonsense)
        assert [w["field"] for w in wrong["errors"]] == ["type"]


async def test_the_query_api_gives_the_log_backwards_page_by_page(api: QueryApi) -> None:
    log = Sample(30).events()
    await write(api.dsn, log)
    before, seen = len(log) + 1_000, []
    while True:
        answer = await api.get("/api/v1/events", before=before, limit=7)
        assert answer["next_after"] == min(before - 1, len(log)) if before else answer["next_after"] == 0
        if not answer["events"]:
            break
        seen = [event["position"] for event in answer["events"]] + seen
        before = answer["next_before"]
    assert seen == list(range(1, len(log) + 1))
    some = await api.get("/api/v1/events", after=20, limit=3)
    back = await api.get("/api/v1/events", before=some["next_before"], limit=20)
    assert [event["position"] for event in back["events"]] == list(range(1, 21))


async def test_the_query_api_gives_the_log_from_a_time_on(api: QueryApi) -> None:
    await write_one_order(api.dsn)
    times = [event["timestamp"] for event in (await api.get("/api/v1/events"))["events"]]
    [first, *_] = (await api.get("/api/v1/events", at=times[3]))["events"]
    assert first["position"] == 1 + times.index(times[3])
    assert len((await api.get("/api/v1/events", at="2001-01-01"))["events"]) == len(STORY) + 1
    after = await api.get("/api/v1/events", at="2999-01-01")
    assert (after["events"], after["next_after"], after["next_before"]) == ([], len(STORY) + 1, len(STORY) + 2)
    for asked in ({"at": "tomorrow"}, {"at": "2026-03-14", "after": 1}, {"before": 3, "after": 1}):
        await api.get("/api/v1/events", 400, **asked)


async def test_the_query_api_gives_the_log_of_one_order_or_one_stream(api: QueryApi) -> None:
    await write_one_order(api.dsn)
    assert len((await api.get("/api/v1/events", order_id=ORDER_ID))["events"]) == len(STORY)
    assert types(await api.get("/api/v1/events", stream_id=SAGA, before=99, limit=2)) == [
        "SagaStepStarted",
        "SagaCompleted",
    ]
    assert (await api.get("/api/v1/events", stream_id=uuid4()))["events"] == []
    await api.get("/api/v1/events", 400, order_id="not-an-id")


async def insert_sagas(dsn: str) -> dict[str, SagaId]:
    """One in each state, the later named the older, and one that has ended."""
    rows: dict[str, tuple[Any, ...]] = {
        "running": ("RUNNING", 0, None, "runner-1", 20),
        "waiting": ("RUNNING", 0, None, None, 20),
        "retrying": ("COMPENSATING", 2, "the provider did not answer", None, 20),
        "overdue": ("RUNNING", 0, None, None, -60),
        "failed": ("FAILED", 9, "voided never", None, None),
        "ended": ("COMPLETED", 0, None, None, None),
    }
    connection = await asyncpg.connect(dsn)
    ids = {state: saga_of(order_id(n), "fulfil_order") for n, state in enumerate(rows)}
    for n, (state, (status, attempts, error, owner, due)) in enumerate(rows.items()):
        await connection.execute(
            SAGA_ROW, ids[state], "fulfil_order", order_id(n), status, attempts, error, owner, due, n
        )
    await connection.close()
    return ids


async def test_the_query_api_lists_sagas_by_state_status_and_order(api: QueryApi) -> None:
    ids = await insert_sagas(api.dsn)

    async def saga_ids(**asked: Any) -> list[str]:
        return [row["saga_id"] for row in (await api.get("/api/v1/sagas", **asked))["sagas"]]

    assert await saga_ids() == [str(id_) for id_ in ids.values()]
    for state in ("running", "waiting", "retrying", "overdue", "failed"):
        assert await saga_ids(state=state) == [str(ids[state])]
    assert await saga_ids(status="COMPLETED") == [str(ids["ended"])]
    assert await saga_ids(order_id=order_id(2)) == [str(ids["retrying"])]
    assert await saga_ids(state="failed,running, overdue") == [
        str(ids[one]) for one in ("running", "overdue", "failed")
    ]
    assert await saga_ids(status="COMPLETED,FAILED,FAILED") == [str(ids["failed"]), str(ids["ended"])]
    assert await saga_ids(status="RUNNING,FAILED", state="waiting,retrying") == [str(ids["waiting"])]
    some = ",".join(str(ids[one]) for one in ("ended", "failed", "waiting"))
    assert await saga_ids(saga_id=some, state="failed,waiting") == [str(ids["waiting"]), str(ids["failed"])]
    hundred = ",".join([some, *(str(uuid4()) for _ in range(97))])
    assert len(await saga_ids(saga_id=hundred)) == 3
    for wrong in (
        {"saga_id": f"{hundred},{uuid4()}"},
        {"saga_id": "x"},
        {"state": "failed,stuck"},
        {"status": "failed"},
    ):
        await api.get("/api/v1/sagas", 400, **wrong)
    [running, failed] = (await api.get("/api/v1/sagas", state="running,failed"))["sagas"]
    assert (running["held_by"], running["lease_until"]) == ("runner-1", running["due_at"])
    assert (failed["held_by"], failed["lease_until"]) == (None, None)
    assert (failed["attempts"], failed["last_error"], failed["step"]) == (9, "voided never", "a_step")
    assert (await api.get("/api/v1/stats"))["sagas"] == {"RUNNING": 3, "COMPENSATING": 1, "FAILED": 1}


async def test_the_list_of_sagas_pages_forward_and_back(api: QueryApi) -> None:
    ids = [str(id_) for id_ in (await insert_sagas(api.dsn)).values()]
    first = await api.get("/api/v1/sagas", limit=4)
    second = await api.get("/api/v1/sagas", limit=4, cursor=first["next_cursor"])
    assert [row["saga_id"] for row in first["sagas"] + second["sagas"]] == ids
    assert second["next_cursor"] is None
    assert (await api.get("/api/v1/sagas", limit=4, cursor=second["prev_cursor"]))["sagas"] == first["sagas"]


async def test_a_saga_shows_its_steps_and_events(api: QueryApi) -> None:
    await write_one_order(api.dsn)
    connection = await asyncpg.connect(api.dsn)
    await connection.execute(SAGA_ROW, SAGA, "fulfil_order", ORDER_ID, "COMPLETED", 0, None, None, None, 1)
    await connection.close()
    saga = await api.get(f"/api/v1/sagas/{SAGA}")
    assert saga["steps"] == {
        "open_order": "COMPLETED", "reserve_inventory": "PENDING", "authorize_payment": "RUNNING",
        "confirm_order": "PENDING",
    }  # fmt: skip
    assert types(saga) == ["SagaStarted", "SagaStepCompleted", "SagaStepStarted", "SagaCompleted"]
    assert (saga["state"], saga["about"]) == (None, None)
    third = saga["lanes"][2]
    assert (third["step"], third["does"], third["undo"]) == (
        "authorize_payment", "authorise the payment", "void the payment",
    )  # fmt: skip
    assert (third["status"], third["undo_status"], third["open"]) == ("RUNNING", "NOT_NEEDED", [])
    [listed] = (await api.get("/api/v1/sagas"))["sagas"]
    assert listed["steps"] == saga["steps"]
    await api.get(f"/api/v1/sagas/{uuid4()}", 404)


async def test_a_saga_that_cannot_be_read_is_shown_as_far_as_possible_and_hides_no_other(api: QueryApi) -> None:
    await write_one_order(api.dsn)
    ids = await insert_sagas(api.dsn)
    connection = await asyncpg.connect(api.dsn)
    await connection.execute(SAGA_ROW, SAGA, "fulfil_order", ORDER_ID, "FAILED", 0, None, None, None, 99)
    await connection.close()
    await make_unreadable(api.dsn, SAGA)
    saga = await api.get(f"/api/v1/sagas/{SAGA}")
    assert saga["steps"]["open_order"] == "COMPLETED"
    assert types(saga)[-1] == "FromALaterRelease"
    *others, last = (await api.get("/api/v1/sagas"))["sagas"]
    assert [other["saga_id"] for other in others] == [str(id_) for id_ in ids.values()]
    assert "cannot be read" in last["open"]["items"][0]


async def test_the_list_of_stock_is_by_sku_and_has_one_that_was_just_received(api: QueryApi) -> None:
    some = [replace(replenished, sku=f"SKU-{n}") for n in range(5)]
    await write(api.dsn, stored_events(some))
    assert (await api.get("/api/v1/inventory/SKU-3"))["available"] == 10
    await api.project()
    first = await api.get("/api/v1/inventory", limit=3)
    second = await api.get("/api/v1/inventory", limit=3, cursor=first["next_cursor"])
    assert [row["sku"] for row in first["items"] + second["items"]] == [f"SKU-{n}" for n in range(5)]
    assert second["next_cursor"] is None
    assert await api.get("/api/v1/inventory/SKU-3") == second["items"][0]
    await api.get("/api/v1/inventory/SKU-9", 404)


async def test_the_list_of_projections_says_how_far_each_is_behind(api: QueryApi) -> None:
    log = stored_events([created, confirmed, cancelled])
    await write(api.dsn, log)
    never = await api.get("/api/v1/projections")
    assert (never["head"], never["readers"]) == (3, [])
    assert {row["lag"]["events"] for row in never["projections"]} == {3}
    await api.project()
    answer = await api.get("/api/v1/projections")
    there = {"position": 3, "lag": {"events": 0, "seconds": 0.0}}
    assert answer["readers"] == [{"name": "projector.orders"} | there, {"name": "projector.stock"} | there]
    assert [(row["name"], row["reader"]) for row in answer["projections"]] == [
        ("order_views", "projector.orders"),
        ("customer_summaries", "projector.orders"),
        ("product_demand", "projector.orders"),
        ("daily_sales", "projector.orders"),
        ("inventory_levels", "projector.stock"),
    ]
    assert {(row["position"], row["revision"]) for row in answer["projections"]} == {(3, 2)}
