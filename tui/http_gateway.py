"""HttpGateway: the Gateway over the command and query APIs, local or far away."""

from __future__ import annotations

import getpass
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from tui.gateway import PAGE, CommandAccepted, CommandToSend, Health, ServiceRefused, Shape, TimedOut, Unreachable
from tui.viewmodels.filters import OrderQuery
from tui.wire import OrderPage, WireEvent, WireOrder, WireProblem

ANSWER_WITHIN = 5.0  # seconds for one request; a command is then sent again under its key
_HISTORY = 1_000  # an order's events in one answer
SILENCE = 25.0  # seconds without a byte on the feed: the server sends a comment every ten


class _Accepted(Struct):
    order_id: str
    status: str
    version: int
    position: int | None = None
    order_number: str | None = None


class _Events(Struct):
    events: list[WireEvent]


class _Lag(Struct):
    events: int = 0
    seconds: float = 0.0


class _Reader(Struct):
    lag: _Lag


class _Projections(Struct):
    head: int
    readers: list[_Reader]


class HttpGateway:
    """One connection pool; the operating system's user signs every command."""

    def __init__(self, command_url: str, query_url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.commands_at = command_url.rstrip("/")
        self.queries_at = query_url.rstrip("/")
        self.where = httpx.URL(query_url).netloc.decode()
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_WITHIN, connect=2.0),
            headers={"Orderdeck-Actor": _actor()},
            transport=transport,
            trust_env=False,  # a proxy from the environment must not stand between the deck and 127.0.0.1
        )

    async def orders(self, query: OrderQuery, *, cursor: str | None = None, oldest_first: bool = False) -> OrderPage:
        params = {**query.params(), "limit": str(PAGE), "sort": "created_at" if oldest_first else "-created_at"}
        if cursor is not None:
            params["cursor"] = cursor
        return await self.read("/api/v1/orders", OrderPage, params)

    async def order(self, order_id: str, *, min_version: int | None = None, wait: float | None = None) -> WireOrder:
        params = {"min_version": min_version, "wait": wait}
        query = {name: str(value) for name, value in params.items() if value is not None}
        return await self.read(
            f"/api/v1/orders/{quote(order_id, safe='')}", WireOrder, query, patience=ANSWER_WITHIN + (wait or 0)
        )

    async def timeline(self, order_id: str) -> list[WireEvent]:
        path, events = f"/api/v1/orders/{quote(order_id, safe='')}/timeline", list[WireEvent]()
        while True:
            after = events[-1].position if events else 0
            page = await self.read(path, _Events, {"after": str(after), "limit": str(_HISTORY)})
            events += page.events
            if len(page.events) < _HISTORY:
                return events

    async def health(self) -> Health:
        answer = await self.read("/api/v1/projections", _Projections)
        slowest = max((reader.lag for reader in answer.readers), key=lambda lag: lag.seconds, default=_Lag())
        return Health(answer.head, slowest.events, slowest.seconds)

    async def read(
        self,
        path: str,
        shape: type[Shape],
        params: Mapping[str, str] | None = None,
        *,
        patience: float = ANSWER_WITHIN,
    ) -> Shape:
        async with _our_errors(self.queries_at):
            response = await self._client.get(self.queries_at + path, params=params, timeout=patience)
        return _read(response, shape)

    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
        response = await self._command(command, {"Idempotency-Key": key})
        answer = _read(response, _Accepted)
        return CommandAccepted(
            order_id=answer.order_id,
            status=answer.status,
            version=answer.version,
            position=answer.position,
            order_number=answer.order_number,
            replayed=response.headers.get("Idempotent-Replayed") == "true",
        )

    async def dry_run(self, command: CommandToSend) -> Sequence[WireEvent]:
        return _read(await self._command(command, {}, dry_run=True), _Events).events

    async def feed(self, *, after: int) -> AsyncGenerator[bytes, None]:
        url = f"{self.queries_at}/api/v1/events/stream"
        # Without the second type the service takes the deck for a browser, and hides problems from it.
        accept = "text/event-stream, application/problem+json"
        headers = {"Last-Event-ID": str(after), "Accept": accept}
        timeout = httpx.Timeout(SILENCE, connect=2.0)
        async with (
            _our_errors(self.queries_at),
            self._client.stream("GET", url, params={"skip": "true"}, headers=headers, timeout=timeout) as response,
        ):
            if not response.is_success:
                await response.aread()
                _refuse(response)
            yield b""
            async for chunk in response.aiter_raw():
                yield chunk

    async def close(self) -> None:
        await self._client.aclose()

    async def _command(
        self, command: CommandToSend, headers: Mapping[str, str], *, dry_run: bool = False
    ) -> httpx.Response:
        new = command.order_id is None
        path = "/api/v1/orders" if new else f"/api/v1/orders/{quote(command.order_id or '', safe='')}/{command.verb}"
        async with _our_errors(self.commands_at):
            return await self._client.request(
                "POST" if new else "PUT",
                self.commands_at + path,
                params={"dry_run": "true"} if dry_run else None,
                json=dict(command.body) if command.body else None,
                headers=headers,
            )


@asynccontextmanager
async def _our_errors(url: str) -> AsyncGenerator[None]:
    """Raise the client's errors as ours, which tell what was certainly not sent from what may have been."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Unreachable(f"{url} does not answer") from error
    except httpx.TimeoutException as error:
        raise TimedOut(f"{url} has not answered in time") from error
    except (httpx.TransportError, httpx.StreamError) as error:
        raise TimedOut(f"{url} broke the connection") from error
    except httpx.HTTPError as error:
        raise Unreachable(f"{url}: {error}") from error


def _read(response: httpx.Response, shape: type[Shape]) -> Shape:
    if not response.is_success:
        _refuse(response)
    try:
        return msgspec.json.decode(response.content, type=shape)
    except msgspec.MsgspecError as error:
        raise ServiceRefused(response.status_code, "unreadable", f"an answer this deck cannot read: {error}") from error


def _refuse(response: httpx.Response) -> NoReturn:
    try:
        problem = msgspec.json.decode(response.content, type=WireProblem)
    except msgspec.MsgspecError:
        problem = WireProblem()
    sentence = problem.error or problem.detail or problem.title or f"the service answered {response.status_code}"
    raise ServiceRefused(response.status_code, problem.code, sentence, problem.errors)


def _actor() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return "deck"
    return name.encode("ascii", "replace").decode()[:100] or "deck"
