"""A link to a server over TCP, which a test cuts, freezes and slows down: the network between a client and a server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self

PIECE = 1 << 16


class TcpLink:
    """Passes what comes to `port` of 127.0.0.1 on to the server (its port or socket), until a test says otherwise.

    It works in a thread of its own, so that a test that blocks does not stop it.
    """

    def __init__(self, server: int | Path, port: int) -> None:
        self.port, self._server = port, server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._passing = set[asyncio.Task[None]]()
        self._listening: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._delay = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        self._flows.set()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Close every connection, and refuse new ones, as if the server were not running."""
        self._run(self._cut())

    def freeze(self) -> None:
        """Pass nothing on and close nothing, as a network does that is lost; both sides only wait."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def slow(self, seconds: float) -> None:
        """Let every piece of data wait that long, each way."""
        self._delay = seconds

    def mend(self) -> None:
        """Be as it was at first. What came while the link was frozen is passed on now."""
        self._delay = 0.0
        self._loop.call_soon_threadsafe(self._flows.set)
        self._run(self._listen())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._listening is None:
            self._listening = await asyncio.start_server(self._connect, "127.0.0.1", self.port)

    async def _cut(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _end(self) -> None:
        for _ in range(5):  # turns of the loop, in which a connection that came last is known and can be closed
            await asyncio.sleep(0)
        await self._cut()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        self._open.add(writer)
        try:
            await self._flows.wait()
            with contextlib.suppress(OSError):
                server, to_server = await self._reach_server()
                self._open.add(to_server)
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._pass_on(reader, to_server))
                        group.create_task(self._pass_on(server, writer))
                except* OSError:
                    pass
                finally:
                    self._open.discard(to_server)
                    to_server.transport.abort()
        except asyncio.CancelledError:
            pass  # the test has ended
        finally:
            self._open.discard(writer)
            self._passing.discard(task)
            writer.transport.abort()  # not close: that waits until all has been sent, and the loop may end before

    async def _reach_server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._server, Path):
            return await asyncio.open_unix_connection(self._server)
        return await asyncio.open_connection("127.0.0.1", self._server)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE):
            await self._flows.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
            writer.write(data)
            await writer.drain()
        writer.transport.abort()  # the other direction ends as well
        raise ConnectionResetError
