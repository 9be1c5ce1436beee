"""The HTTP server of every daemon: uvicorn, behind the guard."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, cast

import uvicorn

from core.setting_types import split
from core.settings import Settings
from daemons.process.audit_recorder import AuditRecorder
from daemons.process.audited import Audited
from daemons.process.guard.acceptor import Acceptor
from daemons.process.guard.bounds import Limits, fitted
from daemons.process.guard.callers import Door
from daemons.process.guard.connections import Connections
from daemons.process.guard.gate import Gate
from daemons.process.guard.hosts import Hosts
from daemons.process.guard.in_flight import InFlight
from daemons.process.guard.limiter import Limiter
from daemons.process.guard.origins import Origins
from daemons.process.guard.protocol import GuardedProtocol
from daemons.process.guard.proxies import Proxies

DRAIN = 20  # seconds in which requests under way may finish
REST = 0.0003  # seconds for each open connection, for which the next ones of a shared socket are left to others
LONGEST_REST = 0.01


class Server(uvicorn.Server):
    """uvicorn's server, which accepts connections by itself and leaves signals alone; with `tls` it speaks TLS."""

    tls: ssl.SSLContext | None = None

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Have `serve` stop accepting, finish the requests under way, and return."""
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        """In place of uvicorn's, which sets the header `date` ten times a second; ours is set by each request."""
        await self._ending.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        self._acceptors = [self._acceptor(listener) for listener in sockets or []]
        for acceptor in self._acceptors:
            acceptor.start()

    def share(self, listener: socket.socket) -> Acceptor:
        """Accepts on a socket that other processes accept on too; whoever has more connections leaves them more."""
        return self._acceptor(listener, lambda: min(LONGEST_REST, REST * len(self.server_state.connections)))

    def _acceptor(self, listener: socket.socket, rest: Callable[[], float] | None = None) -> Acceptor:
        make_protocol = partial(
            self.config.http_protocol_class,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        return Acceptor(listener, make_protocol, rest, self.tls)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for acceptor in self._acceptors:
            acceptor.stop()
        await super().shutdown(sockets=sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # uvicorn takes no signals: the daemon does, stops its work, and then stops the server


def make_server(
    app: Any,
    settings: Settings,
    limits: Limits | None = None,
    door: Door | None = None,
    limiter: Limiter | None = None,
    recorder: AuditRecorder | None = None,
    tls: ssl.SSLContext | None = None,
) -> Server:
    """The server that answers with this ASGI application; its `serve` takes the listening socket.

    Without a `door` everybody may ask for everything; without a `limiter` as often as they like. Without a `recorder`
    nothing is recorded in the audit. With `tls` it speaks TLS.
    """
    guarded = Connections(fitted(limits or Limits()))
    hosts = Hosts([settings.host, socket.gethostname(), *split(settings.hosts)])
    proxies = Proxies(split(settings.trusted_proxies)) if settings.trusted_proxies else None
    origins = Origins(split(settings.cors_origins))
    gate = Gate(app, hosts, origins, InFlight(guarded.limits.requests), door, limiter, proxies)
    server = Server(
        uvicorn.Config(
            gate if recorder is None else Audited(gate, recorder),
            http=cast("Any", partial(GuardedProtocol, guarded=guarded)),  # uvicorn calls it as it would the class
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=2048,
            timeout_graceful_shutdown=DRAIN,
        )
    )
    server.tls = tls
    return server
