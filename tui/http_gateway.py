"""HttpGateway: the Gateway over the command and query APIs, local or far away."""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from core.credentials import Show, show_nothing
from core.filters.order_query import OrderQuery
from tui.command_paths import patience_for, quoted_name, route_of, webhook_accepted
from tui.gateway import (
    NEWEST_FIRST,
    PAGE,
    CommandAccepted,
    CommandToSend,
    Health,
    ServiceRefused,
    Shape,
    orders_asked,
)
from tui.http_reply import (
    NOT_LET_IN,
    CallerReply,
    HttpReply,
    LetterReply,
    ProjectionsReply,
    health_of,
    letters_accepted,
    our_errors,
    read_answer,
    refuse,
    whole,
)
from tui.shown_key import ShownKey
from tui.wire import Count, OrderPage, WireEvent, WireOrder

ANSWER_WITHIN = 5.0  # seconds for one request; a command is then sent again under its key
_HISTORY = 1_000  # an order's events in one answer
MOST_EVENTS = 20_000  # of one order; a longer history is cut
SILENCE = 25.0  # seconds without a byte on the feed: the server sends a comment every ten

if TYPE_CHECKING:  # it takes a fifth of the deck's start, so it is imported when the first picture stands
    import httpx

_POSITIONED = tuple(
    f"/api/v1/{name}" for name in ("orders", "customers", "inventory", "products", "sagas", "stats", "events")
)
"""What these paths begin with takes `min_position`."""
BEHIND_LASTS = 10.0  # seconds for which no position is asked for after the read models were behind it
DRY_RUN = {"dry_run": "true"}


class _Accepted(Struct):
    status: str
    version: Count
    order_id: str = ""
    saga_id: str = ""
    position: Count | None = None
    order_number: str | None = None
    step: str = ""


class _Events(Struct):
    events: list[WireEvent]


class HttpGateway:
    """One connection pool; the operating system's user signs every command."""

    def __init__(
        self,
        command_url: str,
        query_url: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        read_only: bool = False,
        show: Show = show_nothing,
    ) -> None:
        self.read_only = read_only
        self.commands_at = command_url.rstrip("/")
        self.queries_at = query_url.rstrip("/")
        self.where = urlsplit(query_url).netloc
        self._transport = transport
        self._key = ShownKey(show)
        self._role: str | None = None  # of the key, once the command API was asked
        self._seen = 0  # the last position that the feed or the answer of a command has shown
        self._asks_for_position = False
        self._not_before = 0.0  # by the monotonic clock

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        import ssl  # noqa: PLC0415 - see above

        import httpx  # noqa: PLC0415 - see above

        secret = any(url.startswith("https:") for url in (self.commands_at, self.queries_at))
        return httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_WITHIN, connect=2.0),
            headers={"Orderdeck-Actor": _actor(), "Accept-Encoding": "identity"},
            transport=self._transport,
            auth=self._key.sign,
            trust_env=False,  # a proxy from the environment must not stand between the deck and 127.0.0.1
            # Plain HTTP has no certificates to verify, and reading those of all authorities takes time. The system's
            # authorities count, and those of SSL_CERT_FILE.
            verify=ssl.create_default_context() if secret else False,
        )

    async def orders(
        self,
        query: OrderQuery,
        *,
        sort: str = NEWEST_FIRST,
        cursor: str | None = None,
        order_ids: Sequence[str] = (),
        limit: int = PAGE,
    ) -> OrderPage:
        asked = orders_asked(query, sort=sort, cursor=cursor, order_ids=order_ids, limit=limit)
        return await self.read("/api/v1/orders", OrderPage, asked)

    async def order(self, order_id: str, *, min_version: int | None = None, wait: float | None = None) -> WireOrder:
        params = {"min_version": min_version, "wait": wait}
        query = {name: str(value) for name, value in params.items() if value is not None}
        path, patience = f"/api/v1/orders/{quoted_name(order_id)}", ANSWER_WITHIN + (wait or 0)
        reply = await self._query(path, query, patience)
        return replace(read_answer(reply, WireOrder), read_from="log" if reply.from_log else "view")

    async def timeline(self, order_id: str) -> list[WireEvent]:
        path, events = f"/api/v1/orders/{quoted_name(order_id)}/timeline", list[WireEvent]()
        after = 0
        while len(events) < MOST_EVENTS:
            page = (await self.read(path, _Events, {"after": str(after), "limit": str(_HISTORY)})).events
            if any(event.position <= before for before, event in zip(_positions(after, page), page, strict=False)):
                raise ServiceRefused(200, "unreadable", "an order's events that are not in the order of the log")
            events += page[:_HISTORY]
            if len(page) < _HISTORY:
                break
            after = events[-1].position
        return events

    async def health(self) -> Health:
        return health_of(await self.read("/api/v1/projections", ProjectionsReply))

    async def ask_for_commands(self) -> str:
        if self._role is not None:  # it stays the same as long as its key
            await self._exchange("GET", self.commands_at, "/health")
            return self._role
        try:
            self._role = (await self.read("/api/v1/caller", CallerReply, service="commands")).role
        except ServiceRefused as refused:
            if refused.status == NOT_LET_IN:
                raise
            self._role = ""  # an older service, or a key for other routes: each further refusal is a row of the audit
        return self._role

    async def read(
        self,
        path: str,
        shape: type[Shape],
        params: Mapping[str, str | Sequence[str]] | None = None,
        *,
        service: Literal["queries", "commands"] = "queries",
        patience: float = ANSWER_WITHIN,
    ) -> Shape:
        if service == "queries":
            return read_answer(await self._query(path, params or {}, patience), shape)
        answer = await self._exchange("GET", self.commands_at, path, params=params, patience=patience)
        return read_answer(answer, shape)

    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
        # A webhook's routes take no key, so such a command is sent once, whatever becomes of its answer.
        reply = await self._command(command, {} if command.kind == "webhook" else {"Idempotency-Key": key})
        if command.kind == "webhook":
            return webhook_accepted(command, reply)
        if command.kind == "dead-letter":
            return letters_accepted(command, read_answer(reply, LetterReply), replayed=reply.replayed)
        answer = read_answer(reply, _Accepted)
        self._seen = max(self._seen, answer.position or 0)
        return CommandAccepted(
            subject_id=answer.saga_id if command.kind == "saga" else answer.order_id,
            status=answer.status,
            version=answer.version,
            position=answer.position,
            order_number=answer.order_number,
            step=answer.step,
            replayed=reply.replayed,
        )

    async def dry_run(self, command: CommandToSend) -> Sequence[WireEvent]:
        return read_answer(await self._command(command, {}, dry_run=True), _Events).events

    async def feed(self, *, after: int) -> AsyncGenerator[bytes, None]:
        import httpx  # noqa: PLC0415 - as above

        url = f"{self.queries_at}/api/v1/events/stream"
        # Without the second type the service takes the deck for a browser, and hides problems from it.
        accept = "text/event-stream, application/problem+json"
        headers = {"Last-Event-ID": str(after), "Accept": accept}
        timeout = httpx.Timeout(SILENCE, connect=2.0)
        self._key.may_ask(self.queries_at)
        async with (
            our_errors(self.queries_at),
            self._client.stream("GET", url, params={"skip": "true"}, headers=headers, timeout=timeout) as response,
        ):
            if not response.is_success:
                self._key.heard(self.queries_at, response.status_code)
                async with asyncio.timeout(ANSWER_WITHIN):
                    refuse(await whole(response))
            yield b""
            async for chunk in response.aiter_raw():
                self._seen = max(self._seen, _last_id(chunk))
                yield chunk

    async def close(self) -> None:
        if "_client" in vars(self):
            await self._client.aclose()

    async def _command(self, command: CommandToSend, headers: Mapping[str, str], *, dry_run: bool = False) -> HttpReply:
        method, path = route_of(command)
        return await self._exchange(
            method,
            self.commands_at,
            path,
            params=DRY_RUN if dry_run else None,
            patience=patience_for(command, ANSWER_WITHIN),
            json=dict(command.body) if command.body else None,
            headers=headers,
        )

    async def _query(self, path: str, params: Mapping[str, str | Sequence[str]], patience: float) -> HttpReply:
        """Ask the query API. If it has replicas, no answer may lack what this deck has already seen of the log.

        If the read models themselves are that far behind, it is asked for what they have, for a while.
        """
        if "as_of" in params:
            return await self._exchange("GET", self.queries_at, path, params=params, patience=patience)
        if self._asks_for_position and path.startswith(_POSITIONED) and time.monotonic() >= self._not_before:
            wanted = {**params, "min_position": str(self._seen)}
            reply = await self._exchange("GET", self.queries_at, path, params=wanted, patience=patience)
            if reply.status != 409 or b'"position_not_reached"' not in reply.body:
                return reply
            self._not_before = time.monotonic() + BEHIND_LASTS
        reply = await self._exchange("GET", self.queries_at, path, params=params, patience=patience)
        self._asks_for_position = self._asks_for_position or reply.several_servers
        return reply

    async def _exchange(
        self,
        method: str,
        base: str,
        path: str,
        *,
        patience: float = ANSWER_WITHIN,
        **request: Any,
    ) -> HttpReply:
        """Send a request and read the whole answer; both together may take `patience` seconds."""
        if self.read_only and method != "GET" and request.get("params") != DRY_RUN:
            raise ServiceRefused(403, "read_only", "this deck only reads")
        self._key.may_ask(base)
        async with (
            our_errors(base),
            asyncio.timeout(patience),
            self._client.stream(method, base + path, timeout=patience, **request) as response,
        ):
            self._key.heard(base, response.status_code)
            return await whole(response)


def _last_id(chunk: bytes) -> int:
    """The id of the last event of a chunk whose line with the id is whole; 0 when there is none."""
    begins = chunk.rfind(b"\nid: ") + 1
    id_ = chunk[begins : begins + 24].partition(b"\n")[0].removeprefix(b"id: ")
    return int(id_) if id_.isdigit() and len(id_) < 19 else 0


def _positions(after: int, page: Sequence[WireEvent]) -> list[int]:
    return [after, *(event.position for event in page)]


def _actor() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return "deck"
    return name.encode("ascii", "replace").decode()[:100] or "deck"
