"""How answers go over the wire, whatever the application does: whole, in chunks, or broken off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from socket import create_server
from typing import Any

import pytest

from core.settings import load_settings
from daemons.process.guard.server import make_server

PLAIN, ENDS = b"content-length: 4", b"connection: close"
MISTAKE = b"HTTP/1.1 500 Internal Server Error"


def start(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": [*headers]}


def body(content: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


LENGTH = (b"Content-Length", b"4")
SENT: dict[str, list[Any]] = {
    "/whole": [start(LENGTH), body(b"good")],
    "/parts": [start(LENGTH), body(b"go", more=True), body(b"od")],
    "/chunks": [start(), body(b"go", more=True), body(b"od")],
    "/empty": [start((b"content-length", b"0")), body(b"")],
    "/closing": [start(LENGTH, (b"Connection", b"x, Close")), body(b"good")],
    "/nothing": [],
    "/fails": [ZeroDivisionError()],
    "/fails-late": [start(LENGTH), ZeroDivisionError()],
    "/ends-early": [start(LENGTH)],
    "/too-short": [start(LENGTH), body(b"goo")],
    "/too-long": [start(LENGTH), body(b"goods")],
    "/twice": [start(LENGTH), start(LENGTH), body(b"good")],
    "/no-start": [body(b"good")],
    "/split": [start((b"location", b"/\r\nset-cookie: a=b"), LENGTH), body(b"good")],
    "/bad-name": [start((b"a b", b"c"), LENGTH), body(b"good")],
}


async def answer(scope: Any, _receive: Any, send: Any) -> None:
    for message in SENT[scope["path"]]:
        if isinstance(message, Exception):
            raise message
        await send(message)


@pytest.fixture(scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    listener = create_server(("127.0.0.1", 0))
    server = make_server(answer, load_settings(home=tmp_path_factory.mktemp("home")))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield listener.getsockname()[1]
    server.end()
    await serving


async def ask(port: int, path: str, method: str = "GET", *, ends: bool = False) -> tuple[list[bytes], bytes]:
    """The lines of the head, and all that comes after it until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    wish = "Connection: close\r\n" if ends else ""
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{wish}\r\n".encode())
    async with asyncio.timeout(5):
        head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head.split(b"\r\n"), rest


@pytest.mark.parametrize("path", ["/whole", "/parts", "/closing"])
async def test_an_answer_of_a_known_length_is_sent_whole(port: int, path: str) -> None:
    head, rest = await ask(port, path, ends=True)
    assert head[0] == b"HTTP/1.1 200 OK"
    assert head.count(PLAIN) == 1
    assert sum(line.lower().startswith(b"connection:") for line in head) == 1
    assert rest == b"good"


async def test_an_answer_of_unknown_length_is_sent_in_chunks(port: int) -> None:
    head, rest = await ask(port, "/chunks", ends=True)
    assert b"transfer-encoding: chunked" in head
    assert rest == b"2\r\ngo\r\n2\r\nod\r\n0\r\n\r\n"
    head, rest = await ask(port, "/chunks", "HEAD", ends=True)
    assert b"transfer-encoding: chunked" not in head
    assert rest == b""


@pytest.mark.parametrize(("path", "length"), [("/whole", PLAIN), ("/empty", b"content-length: 0")])
async def test_a_head_is_sent_where_no_body_follows(port: int, path: str, length: bytes) -> None:
    head, rest = await ask(port, path, "HEAD", ends=True)
    assert length in head
    assert rest == b""


@pytest.mark.parametrize("path", ["/nothing", "/fails", "/no-start"])
async def test_what_fails_before_its_answer_begins_is_answered_500_and_ends(port: int, path: str) -> None:
    head, rest = await ask(port, path)
    assert (head[0], ENDS in head, rest) == (MISTAKE, True, b"Internal Server Error")


@pytest.mark.parametrize("path", ["/fails-late", "/ends-early", "/too-long", "/twice"])
async def test_what_fails_within_its_answer_breaks_off_after_the_head(port: int, path: str) -> None:
    head, rest = await ask(port, path)
    assert (head[0], PLAIN in head, rest) == (b"HTTP/1.1 200 OK", True, b"")


async def test_an_answer_that_is_too_short_breaks_off(port: int) -> None:
    assert (await ask(port, "/too-short"))[1] == b"goo"


@pytest.mark.parametrize("path", ["/split", "/bad-name"])
async def test_a_header_with_a_byte_that_no_header_may_have_is_never_sent(port: int, path: str) -> None:
    assert await ask(port, path) == ([b""], b"")
