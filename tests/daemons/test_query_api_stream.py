"""The live stream: every event once and in order, whoever reads, however slowly, and wherever they left off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from httpx_sse import EventSource, ServerSentEvent, aconnect_sse
from structlog.testing import capture_logs

from core.adapters.postgres.connection import Connection
from tests.support.orders import Sample, write
from tests.support.query_api import QueryApi, query_api

STREAM = "/api/v1/events/stream"


@pytest.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[QueryApi]:
    async with query_api(dsn, tmp_path) as api:
        yield api


@asynccontextmanager
async def reading(api: QueryApi, last: int | None = None, **params: Any) -> AsyncIterator[EventSource]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with aconnect_sse(api.client, "GET", STREAM, params=params, headers=headers) as source:
        assert source.response.status_code == 200
        yield source


async def take(source: EventSource, count: int) -> list[ServerSentEvent]:
    taken: list[ServerSentEvent] = []
    async with asyncio.timeout(20):
        async for event in source.aiter_sse():
            taken.append(event)
            if len(taken) == count:
                break
    return taken


def positions(events: list[ServerSentEvent]) -> list[int]:
    return [int(event.id) for event in events]


async def test_a_frame_of_the_stream_has_the_position_the_type_and_the_envelope(api: QueryApi) -> None:
    log = Sample(2).events()
    await write(api.dsn, log)
    async with reading(api, after=0) as source:
        events = await take(source, len(log))
    envelopes = (await api.get("/api/v1/events"))["events"]
    assert [json.loads(event.data) for event in events] == envelopes
    assert [(event.id, event.event) for event in events] == [(str(e.position), e.event_type) for e in log]


async def test_a_new_stream_starts_at_the_head_and_sends_each_new_event(api: QueryApi) -> None:
    log = Sample(20).events()
    await write(api.dsn, log[:10])
    async with reading(api) as source:
        taking = asyncio.create_task(take(source, len(log) - 10))
        await asyncio.wait([taking], timeout=0.05)
        for event in log[10:]:
            await write(api.dsn, [event])
        assert positions(await taking) == list(range(11, len(log) + 1))


async def test_a_reader_that_comes_back_goes_on_where_it_left_off(api: QueryApi) -> None:
    log = Sample(60).events()
    seen: list[int] = []
    for part in range(0, len(log), 20):
        await write(api.dsn, log[part : part + 20])
        while len(seen) < min(part + 20, len(log)):
            async with reading(api, last=len(seen), after=3) as source:  # the header wins
                seen += positions(await take(source, min(7, len(log) - len(seen), part + 20 - len(seen))))
    assert seen == list(range(1, len(log) + 1))


async def test_the_stream_reads_events_that_have_left_the_ring_from_the_log(
    api: QueryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemons.query_api.hub.RING", 8)
    monkeypatch.setattr("daemons.query_api.hub.MOST_A_WRITE", 5)
    async with query_api(api.dsn, Path("unused")) as small:
        log = Sample(40).events()
        await write(api.dsn, log[:30])
        async with reading(small) as live, reading(small, after=0) as late:
            taking = asyncio.create_task(take(live, len(log) - 30))
            await asyncio.wait([taking], timeout=0.05)
            await write(api.dsn, log[30:])
            assert positions(await taking) == list(range(31, len(log) + 1))
            assert positions(await take(late, len(log))) == list(range(1, len(log) + 1))


@pytest.mark.parametrize("after", [0, None])
async def test_a_stream_with_a_filter_sends_only_the_matching_events(api: QueryApi, after: int | None) -> None:
    log = Sample(30).events()
    wanted = [event for event in log if event.event_type in {"OrderShipped", "OrderCancelled"}]
    asked: dict[str, Any] = {"type": "OrderShipped,OrderCancelled", "category": "order"}
    if after is not None:
        await write(api.dsn, log)
        async with reading(api, after=after, **asked) as source:
            assert positions(await take(source, len(wanted))) == [event.position for event in wanted]
        return
    async with reading(api, **asked) as source:
        taking = asyncio.create_task(take(source, len(wanted)))
        await asyncio.wait([taking], timeout=0.05)
        await write(api.dsn, log)
        assert positions(await taking) == [event.position for event in wanted]


async def test_a_slow_stream_that_may_skip_jumps_to_the_head_and_says_how_many_events_it_skipped(
    api: QueryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemons.query_api.hub.TOO_FAR", 10)
    log = Sample(30).events()
    await write(api.dsn, log[:-1])
    head = len(log) - 1
    async with reading(api, after=5, skip="true") as source:
        [skipped] = await take(source, 1)
        assert (skipped.event, skipped.id) == ("skipped", str(head))
        assert json.loads(skipped.data) == {"after": 5, "before": head + 1, "count": head - 5}
    async with reading(api, last=int(skipped.id), skip="true") as source:
        await write(api.dsn, log[-1:])
        assert positions(await take(source, 1)) == [len(log)]


async def test_a_quiet_stream_is_sent_keepalives(api: QueryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemons.query_api.hub.KEEP_ALIVE", 0.01)
    async with asyncio.timeout(10), api.client.stream("GET", STREAM) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        comments = [line async for line in _some(lines, 6) if line]
    assert comments[0] == ": from 0"
    assert set(comments[1:]) == {": at 0"}


async def test_a_reader_that_does_not_read_slows_no_other_reader(api: QueryApi) -> None:
    log = Sample(3_000, open_at_once=50).events()
    where = urlsplit(api.url)
    _, frozen = await asyncio.open_connection(where.hostname, where.port, limit=1)
    frozen.write(f"GET {STREAM}?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    async with reading(api) as source:
        taking = asyncio.create_task(take(source, len(log)))
        await asyncio.wait([taking], timeout=0.05)
        await write(api.dsn, log)
        assert positions(await taking) == [event.position for event in log]
    frozen.close()


async def test_an_open_stream_ends_when_the_daemon_stops(api: QueryApi) -> None:
    async with reading(api) as source:
        taking = asyncio.create_task(take(source, 1))
        await asyncio.wait([taking], timeout=0.05)
        api.vitals.stop.set()
        assert await taking == []


async def test_a_fault_ends_a_live_stream_is_logged_once_and_named_in_ready_until_it_is_mended(
    api: QueryApi, admin: Connection
) -> None:
    async with reading(api) as source:
        taking = asyncio.create_task(take(source, 1))
        await asyncio.wait([taking], timeout=0.05)
        with capture_logs() as logs:
            await admin.execute("REVOKE SELECT ON events FROM orderdeck_app")
            assert await taking == [], "it ends as a stream ends"
            status, answer = await api.vitals.ready()
            refused = await api.client.get(STREAM)
    assert [entry["event"] for entry in logs] == ["request_failed", "request_failed"]
    assert [bool(entry["exc_info"]) for entry in logs] == [True, False]
    assert all(entry["request_id"] for entry in logs)
    assert status == 503
    assert "permission denied for table events (GET /api/v1/events/stream" in answer["reason"]
    assert refused.status_code == 500
    assert refused.json()["code"] == "internal_error"
    assert "events" not in refused.json()["detail"]
    await admin.execute("GRANT SELECT ON events TO orderdeck_app")
    log = Sample(1).events()
    await write(api.dsn, log)
    async with reading(api, after=0) as source:
        assert positions(await take(source, len(log))) == [event.position for event in log]
    await api.get("/api/v1/events")

    async def is_ready() -> bool:
        return (await api.vitals.ready())[0] == 200

    async with asyncio.timeout(10):
        while not await is_ready():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "99999999999999999999", "²"])
async def test_the_stream_refuses_a_position_that_is_no_number(api: QueryApi, last: str) -> None:
    response = await api.client.get(STREAM, headers=[(b"Last-Event-ID", last.encode())])
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "Last-Event-ID"


async def test_the_stream_refuses_a_position_beyond_the_head(api: QueryApi) -> None:
    for params, headers, field in (({"after": 1}, {}, "after"), ({}, {"Last-Event-ID": "1"}, "Last-Event-ID")):
        response = await api.client.get(STREAM, params=params, headers=headers)
        assert [wrong["field"] for wrong in response.json()["errors"]] == [field]


async def _some(lines: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        count -= 1
        if count == 0:
            return
