"""The query API answers the JSON Schema of every event in every version."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx_sse import aconnect_sse

from core.codec import EVENTS
from tests.support.orders import write
from tests.support.query_api import QueryApi, query_api
from tests.support.recorded_log import EVENTS as OLD_LOG

STREAM = "/api/v1/events/stream"
NOWHERE = ("OrderCreated/3", "OrderCreated/0", "OrderCreated/-1", "OrderCreated/two", "OrderLost/1", "..%2F/1")


@pytest.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[QueryApi]:
    async with query_api(dsn, tmp_path) as api:
        yield api


async def test_every_schema_is_listed_and_found_at_its_path(api: QueryApi) -> None:
    listed = (await api.get("/api/v1/schemas"))["schemas"]
    assert sum(one["recorded"] for one in listed) == len(EVENTS)
    for one in listed:
        schema = await api.get(one["path"])
        assert schema["title"] == f"{one['event_type']}, schema version {one['schema_version']}"
    created = [one for one in listed if one["event_type"] == "OrderCreated"]
    assert [(one["schema_version"], one["recorded"], one["aggregate_type"]) for one in created] == [
        (1, False, "order"), (2, True, "order")
    ]  # fmt: skip


async def test_the_schema_of_today_is_found_as_the_latest_and_others_are_not_found(api: QueryApi) -> None:
    newest = await api.get("/api/v1/schemas/OrderCreated/latest")
    assert newest == await api.get("/api/v1/schemas/OrderCreated/2")
    assert newest["properties"]["payment_method"] == {"$ref": "#/$defs/PaymentMethod"}
    for nowhere in NOWHERE:
        await api.get(f"/api/v1/schemas/{nowhere}", 404)


async def test_every_answer_with_events_has_them_in_the_shape_that_is_asked_for(api: QueryApi) -> None:
    await write(api.dsn, OLD_LOG)
    order = next(event.stream for event in OLD_LOG if event.event_type == "OrderCreated")
    saga = next(event.stream for event in OLD_LOG if event.category == "saga" and event.correlation_id == order)
    created = {"type": "OrderCreated", "limit": 1}
    routes = (f"/api/v1/orders/{order}/events", f"/api/v1/orders/{order}/timeline", "/api/v1/events")
    for asked, newest in (({}, 2), ({"schema": "latest"}, 2), ({"schema": "stored"}, 1)):
        for route in routes:
            answer = await api.get(route, **asked, **(created if route == "/api/v1/events" else {}))
            shown = answer["events"][0]
            assert (shown["event_type"], shown["event_version"], shown["schema_version"]) == ("OrderCreated", 1, newest)
            assert isinstance(shown["payload"]["payment_method"], dict if newest == 2 else str)
        async with aconnect_sse(
            api.client, "GET", STREAM, params={"after": 0, "type": "OrderCreated", **asked}
        ) as live:
            async with asyncio.timeout(20):
                first = await anext(live.aiter_sse())
        assert json.loads(first.data)["schema_version"] == newest
    for route in (*routes, f"/api/v1/sagas/{saga}", STREAM):
        refused = await api.get(route, 400, schema="newest")
        assert [error["field"] for error in refused["errors"]] == ["schema"]
