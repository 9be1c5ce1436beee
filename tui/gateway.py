"""Gateway: everything that the deck gets from outside, as plain data: over HTTP, or from memory in tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from core.filters.order_query import OrderQuery
from tui.wire import FieldProblem, OrderPage, WireEvent, WireOrder

PAGE = 100
COMPARE = "/api/v1/compare"
NEWEST_FIRST = "-created_at"  # how a list is sorted, as the API names it; without the minus, the other way round
Shape = TypeVar("Shape")


class GatewayError(Exception):
    """Base of everything that can go wrong with a request; its text is one sentence for the operator."""


class Unreachable(GatewayError):
    """The service does not answer, and nothing was sent."""


class TimedOut(GatewayError):
    """It was sent, and no answer came. It may have been recorded, so it has to be sent again under the same key."""


class ServiceRefused(GatewayError):
    """The service answered with an error."""

    def __init__(self, status: int, code: str, sentence: str, errors: Sequence[FieldProblem] = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.errors = tuple(errors)

    @property
    def retryable(self) -> bool:
        return self.status in (429, 503)


class BeingMade(GatewayError):
    """What was asked for is being made: `done` of `position` events of the log are in it. It is there when asked again.

    `seconds_left` is None while nobody knows how fast it goes. `waits_for` other moments are in use, of which one has
    to be given up first.
    """

    def __init__(self, position: int, done: int, seconds_left: float | None = None, waits_for: int = 0) -> None:
        super().__init__("that moment's lists are still being made: ctrl+r asks again")
        self.position = position
        self.done = done
        self.seconds_left = seconds_left
        self.waits_for = waits_for


@dataclass(frozen=True)
class CommandToSend:
    """What an operator wants done to one order, saga, dead letter or webhook; a new one has no `subject_id` yet.

    Dead letters of one cause, or all, have none either.

    `verb` is what the API calls it: place, confirm, cancel, ship, deliver or refund; retry, skip-step, compensate or
    resolve; of a webhook add, change, test, enable, disable, rotate, replay or remove.
    """

    verb: str
    subject_id: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    kind: Literal["order", "saga", "dead-letter", "webhook"] = "order"


@dataclass(frozen=True)
class CommandAccepted:
    """`subject_id` is the id of the order, saga or webhook, `step` the one at which the saga stands now.

    `secret` is that of a webhook which has just got it; nobody is told it again.
    """

    subject_id: str
    status: str
    version: int
    position: int | None
    order_number: str | None = None
    step: str = ""
    replayed: bool = False
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Health:
    """Where the log ends, and how far its slowest reader is behind, whose name is `reader`."""

    head: int
    lag_events: int
    lag_seconds: float
    reader: str = ""


def orders_asked(
    query: OrderQuery, *, sort: str, cursor: str | None, order_ids: Sequence[str], limit: int
) -> dict[str, str | Sequence[str]]:
    """What `Gateway.orders` is asked for, as parameters of the query API."""
    wanted = query.among(order_ids) if order_ids else query
    page = {"limit": str(limit), "sort": sort} | ({"cursor": cursor} if cursor is not None else {})
    return {**wanted.params(), **page}


class Gateway(Protocol):
    """Whatever the network or the services do wrong, its methods raise GatewayError."""

    where: str
    read_only: bool
    """It refuses whatever would record something; a dry run records nothing."""

    async def orders(
        self,
        query: OrderQuery,
        *,
        sort: str = NEWEST_FIRST,
        cursor: str | None = None,
        order_ids: Sequence[str] = (),
        limit: int = PAGE,
    ) -> OrderPage:
        """A page of orders; `next_cursor` leads on in the same direction, `prev_cursor` back.

        With `order_ids`, at most PAGE of them, those of these orders that match.
        """
        ...

    async def order(self, order_id: str, *, min_version: int | None = None, wait: float | None = None) -> WireOrder:
        """With `min_version`, it answers when the read model has reached it, and is refused after `wait` seconds."""
        ...

    async def timeline(self, order_id: str) -> list[WireEvent]:
        """Every event that carries the order's id as its correlation, in the order of the log."""
        ...

    async def health(self) -> Health: ...

    async def ask_for_commands(self) -> str:
        """The role of this deck's key there; empty when the command API does not say it.

        Raises Unreachable or TimedOut unless it answers anything at all.
        """
        ...

    async def read(
        self,
        path: str,
        shape: type[Shape],
        params: Mapping[str, str | Sequence[str]] | None = None,
        *,
        service: Literal["queries", "commands"] = "queries",
    ) -> Shape:
        """The answer of a service to GET `path`. For what only one view shows: its shape stands with that view."""
        ...

    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
        """Have it recorded; sent twice under the same key it is recorded once, unless it is about a webhook."""
        ...

    async def dry_run(self, command: CommandToSend) -> Sequence[WireEvent]:
        """The events that the command would record, without positions; nothing is recorded."""
        ...

    def feed(self, *, after: int) -> AsyncGenerator[bytes, None]:
        """The live stream's bytes from `after` on; the first item is empty and says that the stream is open."""
        ...

    async def close(self) -> None: ...
