"""Accepts connections: all that wait at once, where uvloop by itself accepts one in each turn of the event loop."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable

import structlog

AT_ONCE = 64  # connections that are accepted in one turn
PAUSE = 0.5  # seconds after an error, such as that no more files may be opened
MOST_OPENING = 256  # connections whose TLS is being agreed on; beyond them the oldest is cut off
AGREED_WITHIN = 10.0  # seconds for that, and for the first byte of a connection from this machine
TLS_BEGINS = b"\x16"  # the first byte that a client of TLS sends (RFC 8446, 5.1); no request of HTTP begins so

_log = structlog.get_logger(__name__)


class Acceptor:
    """Accepts on a socket from `start` until `stop`, and gives each connection a protocol of its own.

    With `tls` it speaks TLS. A program on this machine may speak plain HTTP all the same: nobody reads what does not
    leave the machine, and the daemons, the command and the health checks need not know a name that the certificate has.

    With `rest` other processes accept on the same socket too: it takes one connection, and leaves the next ones to them
    for so many seconds.
    """

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        rest: Callable[[], float] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._rest = rest
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._opening: dict[asyncio.Task[object], None] = {}  # the oldest first
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
            self._opening[opening] = None
            opening.add_done_callback(self._opening.pop)
            if self._tls is not None and len(self._opening) > MOST_OPENING:
                next(iter(self._opening)).cancel()
            if self._rest is not None:
                self._pause(self._rest())

    async def _open(self, connection: socket.socket) -> None:
        try:
            if self._tls is None or (from_here(connection) and not await self._begins_with_tls(connection)):
                await self._loop.connect_accepted_socket(self._make_protocol, connection)
            else:
                await self._loop.connect_accepted_socket(
                    self._make_protocol, connection, ssl=self._tls, ssl_handshake_timeout=AGREED_WITHIN
                )
        except (OSError, asyncio.CancelledError):  # the caller has gone already, is too slow, or speaks no TLS
            connection.close()

    async def _begins_with_tls(self, connection: socket.socket) -> bool:
        """Raises TimeoutError when nothing comes."""
        readable = self._loop.create_future()
        self._loop.add_reader(connection, lambda: readable.done() or readable.set_result(None))
        try:
            async with asyncio.timeout(AGREED_WITHIN):
                await readable
        finally:
            self._loop.remove_reader(connection)
        return connection.recv(1, socket.MSG_PEEK) == TLS_BEGINS


def from_here(connection: socket.socket) -> bool:
    """Whether the other end of a connection is on this machine."""
    peer, own = connection.getpeername()[0], connection.getsockname()[0]
    return peer == own or _is_loopback(peer)


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
