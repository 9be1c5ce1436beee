"""Many and slow readers of the live stream: bounded, each at a constant cost; and readers that must never give up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.daemon_process import DaemonProcess
from tests.support.orders import Sample, write
from tests.support.query_api import QueryApi, query_api
from tests.support.raw_http import connect, read, request, send

STREAM = "/api/v1/events/stream"
BROWSER = {"Accept": "text/event-stream"}
EVENTS = 3_000  # more than a slow reader's connection takes


@pytest.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[QueryApi]:
    async with query_api(dsn, tmp_path) as api:
        yield api


async def test_a_browser_whose_last_event_is_beyond_the_head_is_told_so_and_connects_again(api: QueryApi) -> None:
    for headers, params in (({"Last-Event-ID": "9"}, {}), ({}, {"after": 9})):
        answer = await api.client.get(STREAM, headers={**BROWSER, **headers}, params=params)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text == 'retry: 3000\n\nevent: beyond\ndata: {"head":0}\n\n'
        assert (await api.client.get(STREAM, headers=headers, params=params)).status_code == 400


async def test_a_browser_connects_again_after_a_fault_and_others_are_told_of_it(api: QueryApi, admin: Any) -> None:
    await admin.execute("REVOKE SELECT ON events FROM orderdeck_app")
    answer = await api.client.get(STREAM, headers=BROWSER)
    assert (answer.status_code, answer.text) == (200, "retry: 3000\n\n")
    deck = {"Accept": "text/event-stream, application/problem+json"}
    assert (await api.client.get(STREAM, headers=deck)).status_code == 500
    assert (await api.client.get(STREAM)).status_code == 500


async def test_head_of_the_stream_ends_and_leaves_no_reader(api: QueryApi) -> None:
    for _ in range(3):
        answer = await api.client.head(STREAM)
        assert (answer.status_code, answer.text) == (200, "")
        assert answer.headers["content-type"].startswith("text/event-stream")


async def test_readers_beyond_the_bound_are_refused_until_one_leaves(
    api: QueryApi, monkeypatch: pytest.MonkeyPatch, dsn: str, tmp_path: Path
) -> None:
    monkeypatch.setattr("daemons.query_api.hub.READERS", 6)
    monkeypatch.setattr("daemons.query_api.hub.READERS_SHARE", 3)
    async with query_api(dsn, tmp_path / "small") as small, contextlib.AsyncExitStack() as readers:
        for _ in range(3):
            answer = await readers.enter_async_context(small.client.stream("GET", STREAM, headers=BROWSER))
            assert answer.status_code == 200
        refused = await small.client.get(STREAM, headers=BROWSER)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_readers")
        assert refused.headers["retry-after"] == "5"
        async with api.client.stream("GET", STREAM) as other:
            assert other.status_code == 200
        assert (await small.client.get("/api/v1/orders")).status_code == 200
        await readers.aclose()
        async with asyncio.timeout(10):
            while (await small.client.head(STREAM)).status_code == 429:  # the service has yet to see that they are gone
                await asyncio.sleep(0.02)


@pytest.fixture
async def daemon(dsn: str, tmp_path: Path) -> AsyncIterator[DaemonProcess]:
    await write(dsn, Sample(EVENTS, open_at_once=50).events()[:EVENTS])
    daemon = DaemonProcess("query_api", dsn, tmp_path)
    daemon.start()
    try:
        while (await daemon.ready())[0] != 200:
            assert daemon.process is not None
            assert daemon.process.poll() is None, daemon.output()
        yield daemon
    finally:
        daemon.kill()


async def test_slow_readers_cost_a_constant_and_delay_no_query(daemon: DaemonProcess) -> None:
    assert daemon.process is not None
    process = psutil.Process(daemon.process.pid)
    send(daemon.port, request("GET", "/api/v1/events?after=0&limit=1000"))
    base = process.memory_info().rss
    readers: list[socket.socket] = []
    for _ in range(120):
        reader = connect(daemon.port)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.sendall(request("GET", f"{STREAM}?after=0"))
        readers.append(reader)
    began = time.monotonic()
    assert send(daemon.port, request("GET", "/api/v1/orders")).status == 200
    assert send(daemon.port, request("GET", "/health")).status == 200
    assert time.monotonic() - began < 5.0
    statuses = [read(reader).status for reader in readers]
    assert statuses.count(200) == 100
    assert statuses.count(429) == 20
    assert process.memory_info().rss < 1.5 * base
    for reader in readers:
        reader.close()


async def test_http_1_0_gets_a_stream_without_chunks(daemon: DaemonProcess) -> None:
    with connect(daemon.port) as connection:
        connection.sendall(f"GET {STREAM}?after={EVENTS - 2} HTTP/1.0\r\n\r\n".encode())
        data = b""
        while data.count(b"\n\n") < 3:
            data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head
    assert body.startswith(b": from %d\n\nid: %d\nevent: " % (EVENTS - 2, EVENTS - 1))
