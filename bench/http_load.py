"""Sends HTTP requests on many connections with as little CPU as Python can: the load runs on the measured machine."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast


@dataclass
class Load:
    """The result of a load: how long it took, its answers by status, and their latencies in seconds, in no order."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Latency in milliseconds below which this share of the answers came."""
        return percentile(self.latencies, share)


def percentile(values: list[float], share: float) -> float:
    """The value, in milliseconds, below which this share of the values in seconds lies; 0 when there are none."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class _Client(asyncio.Protocol):
    """One connection: the next request leaves when the answer to the last one is complete."""

    def __init__(self, make: Callable[[], bytes | None], load: Load, until: float) -> None:
        self._make, self._load, self._until = make, load, until
        self._buffer = b""
        self._sent_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        if (request_bytes := self._make()) is None:
            self._transport.close()
        else:
            self._transport.write(request_bytes)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length: ")
        length = int(head[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        self._load.latencies.append(now - self._sent_at)
        self._load.statuses[int(self._buffer[9:12])] += 1
        self._buffer = self._buffer[end + 4 + length :]
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if not self.done.done():
            self.done.set_result(None)


async def drive(port: int, make: Callable[[], bytes | None], *, clients: int, seconds: float) -> Load:
    """Send the requests that `make` returns, on so many connections for so many seconds or until it returns None."""
    load = Load()
    start = time.perf_counter()
    loop = asyncio.get_running_loop()
    connections = [
        await loop.create_connection(lambda: _Client(make, load, start + seconds), "127.0.0.1", port)
        for _ in range(clients)
    ]
    await asyncio.gather(*(client.done for _, client in connections))
    load.seconds = time.perf_counter() - start
    return load


def request(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def offer(port: int, make: Callable[[], bytes], *, rate: float, seconds: float, connections: int = 32) -> Load:
    """Send so many requests a second, however slow the answers are; a latency counts from when a request was due."""
    load = Load()
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[float] = asyncio.Queue()
    start = time.perf_counter()

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (due := await waiting.get()) >= 0:
            writer.write(make())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            at = head.find(b"content-length: ")
            await reader.readexactly(int(head[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0)
            load.latencies.append(time.perf_counter() - due)
            load.statuses[int(head[9:12])] += 1
        writer.close()

    workers = [loop.create_task(work()) for _ in range(connections)]
    for n in range(round(rate * seconds)):
        due = start + n / rate
        if (pause := due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        waiting.put_nowait(due)
    for _ in workers:
        waiting.put_nowait(-1.0)
    await asyncio.gather(*workers)
    load.seconds = time.perf_counter() - start
    return load
