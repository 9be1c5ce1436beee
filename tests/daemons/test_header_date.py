"""The header `date` of answers is that of now, although nobody sets it while no connection is open."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from core.settings import load_settings
from daemons.process.guard import server as guarded

ASKS = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


async def test_an_answer_has_the_date_of_now_on_an_open_connection_and_after_long_without_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = "1"
    monkeypatch.setattr(guarded, "formatdate", lambda **_: day)
    monkeypatch.setattr(guarded, "DATE_EVERY", 0.02)
    listener = socket.create_server(("127.0.0.1", 0))
    server = guarded.make_server(answer, load_settings(home=tmp_path))
    serving = asyncio.create_task(server.serve(sockets=[listener]))

    async def dated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(ASKS)
        return next(line for line in (await reader.readuntil(b"{}")).split(b"\r\n") if line.startswith(b"date"))

    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        assert await dated(reader, writer) == b"date: 1"
        day = "2"
        while await dated(reader, writer) != b"date: 2":
            pass
        writer.close()
        while server._dates is not None:
            await asyncio.sleep(0.01)
        day = "3"
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        assert await dated(reader, writer) == b"date: 3"
        writer.close()
        server.end()
        await serving
