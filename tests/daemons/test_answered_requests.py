"""The memory of a request is free once it is answered or its caller is gone, without the garbage collector."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from core.settings import load_settings
from daemons.process.guard.protocol import GuardedProtocol
from daemons.process.guard.server import make_server

MANY = 20


async def answer(_scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = make_server(answer, load_settings(home=tmp_path))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield listener.getsockname()[1]
    server.end()
    await serving


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def kept(kind: type = RequestResponseCycle) -> int:
    return sum(isinstance(each, kind) for each in gc.get_objects())


async def send(port: int, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    read = await reader.readuntil(b"{}") if text.endswith(b"\r\n\r\n") else b""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return read


@pytest.mark.usefixtures("no_collector")
async def test_a_request_that_is_answered_or_broken_off_leaves_nothing_in_memory(port: int) -> None:
    before = kept()
    for _ in range(MANY):
        assert (await send(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")).startswith(b"HTTP/1.1 200")
        await send(port, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
    async with asyncio.timeout(5):
        while kept() > before + 2:
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("no_collector")
async def test_a_request_that_is_refused_leaves_nothing_in_memory(port: int) -> None:
    before = kept(GuardedProtocol)
    for _ in range(MANY):
        await send(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 150)
    async with asyncio.timeout(5):
        while kept(GuardedProtocol) > before + 2:
            await asyncio.sleep(0.01)
