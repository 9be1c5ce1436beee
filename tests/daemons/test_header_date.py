"""The header `date` of answers is that of now, on whatever connection, although nothing sets it while nobody asks."""

from __future__ import annotations

import asyncio
import socket
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from core.settings import load_settings
from daemons.process.guard import protocol
from daemons.process.guard.dates import date_header
from daemons.process.guard.server import make_server

ASKS = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


async def test_each_answer_has_the_date_of_its_own_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.9
    monkeypatch.setattr(protocol.time, "time", lambda: now)
    listener = socket.create_server(("127.0.0.1", 0))
    server = make_server(answer, load_settings(home=tmp_path))
    serving = asyncio.create_task(server.serve(sockets=[listener]))

    async def dated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        writer.write(ASKS)
        [date] = [line for line in (await reader.readuntil(b"{}")).split(b"\r\n") if line.startswith(b"date: ")]
        return parsedate_to_datetime(date.decode()[6:]).timestamp()

    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        assert await dated(reader, writer) == 1_000
        now = 90_000.1
        assert await dated(reader, writer) == 90_000
        other_reader, other = await asyncio.open_connection(*listener.getsockname())
        now = 90_001
        assert await dated(other_reader, other) == await dated(reader, writer) == 90_001
        writer.close()
        other.close()
        server.end()
        await serving


def test_the_date_has_the_form_of_rfc_9110() -> None:
    assert date_header(784_111_777) == [(b"date", b"Sun, 06 Nov 1994 08:49:37 GMT")]
