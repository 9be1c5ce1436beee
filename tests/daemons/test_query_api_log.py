"""The log over HTTP: an order's events, its whole story, everything from a position on; and sagas, stock, readers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from core import codec
from core.domain.order import OrderCreated
from tests.support.one_order import SAGA, STORY, types, write_one_order
from tests.support.orders import Sample, write
from tests.support.query_api import QueryApi, query_api
from tests.support.samples import ORDER_ID, cancelled, confirmed, created, replenished
from tests.support.stored_events import stored_events


@pytest.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[QueryApi]:
    async with query_api(dsn, tmp_path) as api:
        yield api


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
        "event_id", "aggregate_id", "aggregate_type", "event_type", "event_version", "schema_version",
        "payload", "metadata", "timestamp", "version", "position",
    ]  # fmt: skip
    assert first["aggregate_id"] == first["payload"]["order_id"] == str(ORDER_ID)
    newest = OrderCreated.schema_version
    assert (first["aggregate_type"], first["event_version"], first["schema_version"]) == ("order", newest, newest)
    assert first["version"] == 1


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
