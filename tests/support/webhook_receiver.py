"""A receiver of webhooks over a real socket, which behaves as badly as its path says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Received:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Receiver:
    """`answers` says what each path answers besides those that are known here; `received` is what came, in order."""

    port: int = 0
    scheme: str = "http"
    answers: dict[str, bytes] = field(default_factory=dict[str, bytes])
    received: list[Received] = field(default_factory=list[Received])
    open: int = 0
    most_open: dict[str, int] = field(default_factory=dict[str, int])
    _now_open: dict[str, int] = field(default_factory=dict[str, int])

    def url(self, path: str = "/ok", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [each for each in self.received if each.path == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while (head := await _head(reader)) is not None:
                lines = head.decode("latin-1").split("\r\n")
                path = lines[0].split(" ")[1]
                headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines[1:])}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.received.append(Received(path, headers, body))
                self._now_open[path] = self._now_open.get(path, 0) + 1
                self.most_open[path] = max(self.most_open.get(path, 0), self._now_open[path])
                try:
                    if not await self._answer(path, writer):
                        return
                finally:
                    self._now_open[path] -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> bool:
        """Answer, and return whether the connection stays."""
        match path.partition("?")[0]:
            case "/hang":
                await asyncio.sleep(60)
                return False
            case "/slow":
                await asyncio.sleep(0.3)
                writer.write(OK)
            case "/endless":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while True:
                    writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                    await writer.drain()
            case "/endless-headers":
                writer.write(b"HTTP/1.1 200 OK\r\n")
                while True:
                    writer.write(b"X-More: " + b"x" * 4096 + b"\r\n")
                    await writer.drain()
            case "/drip":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(1000):
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.2)
            case "/breaks-off":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
                return False
            case "/hangs-up":
                return False
            case "/no-http":
                writer.write(b"\x00\x01garbage\r\n\r\n")
                return False
            case _:
                writer.write(self.answers.get(path, OK))
        await writer.drain()
        return True


def answer(status: int, *headers: str, body: str = "") -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@asynccontextmanager
async def receiver(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    made = Receiver(scheme="http" if tls is None else "https")
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await made.serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=1000)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return (await reader.readuntil(b"\r\n\r\n"))[:-4]
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
