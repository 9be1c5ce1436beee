"""The deck in a browser: one process of the deck for each visitor, on loopback, and read-only unless told otherwise.

There is no login, so whoever reaches the port sees what the deck shows. A page of a stranger in the same browser does
not reach it: neither under a name of its own (DNS rebinding), nor with a connection of its own.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server

from core.errors import ConfigurationError
from core.setting_types import split
from core.settings import Settings
from daemons.cli.output import say
from daemons.process.guard.hosts import Hosts, authority
from daemons.process.guard.refusals import Refusal

MOST_CELLS = 1_000  # of a terminal's width or height
_LEAVES_WITHIN = 3.0  # seconds for the decks of all visitors, when the server ends
_START = "import sys; sys.argv = ['orderdeck', 'tui', *sys.argv[1:]]; from daemons.cli.start import main; main()"


def run(settings: Settings, options: Sequence[str], *, host: str, port: int, visitors: int, allow_writes: bool) -> None:
    """Serve the deck, with these options of `orderdeck tui`, until ctrl+c."""
    if not allow_writes:
        options = [*options, "--read-only"]
    listener = _listen(settings, host, port)
    place = f"http://{_in_url(host)}:{listener.getsockname()[1]}"
    say(f"the deck is at {place} ({'with commands' if allow_writes else 'read-only'}); ctrl+c ends it")
    command = shlex.join([sys.executable, "-c", _START, *options])
    server = DeckServer(f"exec {command}", Hosts(split(settings.hosts)), visitors)
    logging.getLogger("textual-serve").setLevel(logging.ERROR)
    web.run_app(server.app(), sock=listener, print=None, shutdown_timeout=_LEAVES_WITHIN, access_log=None)


def _listen(settings: Settings, host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigurationError(f"--host {host} is not an address of this machine ({error.strerror})") from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"cannot listen on {host}, port {port}: {error.strerror}; set --port") from None
    if not ipaddress.ip_address(str(address[0])).is_loopback and not settings.allow_anonymous:
        listener.close()
        raise ConfigurationError(
            f"--host {host} is reachable from other machines and there is no login: "
            "use `ssh -L` instead, or set ORDERDECK_ALLOW_ANONYMOUS=true if that is meant"
        )
    return listener


class DeckServer(Server):
    """textual-serve, which by itself lets in any page of the browser, and starts as many processes as are asked for."""

    def __init__(self, command: str, hosts: Hosts, visitors: int) -> None:
        super().__init__(command, title="orderdeck")  # pyright: ignore[reportUnknownMemberType] - its paths are half typed
        self.hosts = hosts
        self.most = visitors
        self.visits: set[asyncio.Task[Any]] = set()

    async def app(self) -> web.Application:
        app = await self._make_app()
        app.middlewares.append(self._guard)
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if reason := self.why_not(request):
            raise web.HTTPForbidden(text=f"{reason}\n")
        self.public_url = f"http://{request.host}"  # the page names itself as the browser reached it, also through ssh
        return await handler(request)

    def why_not(self, request: web.Request) -> str:
        """The reason that a request is refused, or nothing."""
        transport = request.transport
        local = transport.get_extra_info("sockname")[0] if transport else ""
        try:
            self.hosts.check(request.host.encode("latin-1", "replace"), local)
            if "Origin" in request.headers or request.path == "/ws":
                origin = request.headers.get("Origin", "").partition("://")[2]
                if authority(origin.encode("latin-1", "replace")) != authority(
                    request.host.encode("latin-1", "replace")
                ):
                    return "another page asks for it: open the deck's own"
        except Refusal as refusal:
            return str(refusal)
        sides = [request.query.get(side, "1") for side in ("width", "height")]
        if any(not side.isdecimal() or not 0 < int(side[:9]) <= MOST_CELLS for side in sides):
            return f"a terminal has 1 to {MOST_CELLS:,} columns and rows"
        return ""

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        if len(self.visits) >= self.most:
            raise web.HTTPServiceUnavailable(
                text=f"{self.most} browsers show the deck already: --visitors allows more\n"
            )
        visit = cast("asyncio.Task[Any]", asyncio.current_task())
        self.visits.add(visit)
        try:
            return await super().handle_websocket(request)
        finally:
            self.visits.discard(visit)

    async def _process_messages(self, websocket: web.WebSocketResponse, app_service: AppService) -> None:
        resize = app_service.set_terminal_size

        async def bounded(width: int, height: int) -> None:
            await resize(max(1, min(int(width), MOST_CELLS)), max(1, min(int(height), MOST_CELLS)))

        app_service.set_terminal_size = bounded
        await super()._process_messages(websocket, app_service)

    async def on_startup(self, app: web.Application) -> None:
        """The sentence is said already."""

    async def on_shutdown(self, app: web.Application) -> None:  # noqa: ARG002 - the signature of textual-serve
        for visit in self.visits:
            visit.cancel()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
