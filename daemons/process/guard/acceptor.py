"""Accepts connections: all that wait at once, where uvloop by itself accepts one in each turn of the event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import structlog

AT_ONCE = 64  # connections that are accepted in one turn
PAUSE = 0.5  # seconds after an error, such as that no more files may be opened

_log = structlog.get_logger(__name__)


class Acceptor:
    """Accepts on a socket from `start` until `stop`, and gives each connection a protocol of its own.

    With `rest` other processes accept on the same socket too: it takes one connection, and leaves the next ones to them
    for so many seconds.
    """

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        rest: Callable[[], float] | None = None,
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._rest = rest
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()
        self._started = False
        self._paused: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if not self._started:
            self._started = True
            self._listener.settimeout(0)
            self._go_on()

    def stop(self) -> None:
        self._started = False
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._listener)

    def _go_on(self) -> None:
        self._paused = None
        self._loop.add_reader(self._listener, self._accept)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._paused = self._loop.call_later(seconds, self._go_on)

    def _accept(self) -> None:
        for _ in range(AT_ONCE if self._rest is None else 1):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.warning("cannot_accept", reason=error.strerror)
                self._pause(PAUSE)
                return
            connection.settimeout(0)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opening = self._loop.create_task(self._open(connection))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)
            if self._rest is not None:
                self._pause(self._rest())

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError:
            connection.close()  # the caller has gone already
