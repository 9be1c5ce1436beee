"""Gateway: everything the deck asks of the world, as plain data; over HTTP in earnest, in memory in tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from tui.viewmodels.filters import OrderQuery
from tui.wire import FieldProblem, OrderPage, WireEvent, WireOrder

PAGE = 100
Shape = TypeVar("Shape")


class GatewayError(Exception):
    """Base of all that can go wrong on the way; its text is one sentence for the operator."""


class Unreachable(GatewayError):
    """Nothing was sent: the service does not answer."""


class TimedOut(GatewayError):
    """Sent, and no answer came: whether it was recorded is unknown, so it may be sent again under the same key."""


class RequestRefused(GatewayError):
    """The service answered no."""

    def __init__(self, status: int, code: str, sentence: str, errors: Sequence[FieldProblem] = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.errors = tuple(errors)

    @property
    def retryable(self) -> bool:
        return self.status in (429, 503)


@dataclass(frozen=True)
class CommandToSend:
    """A wish about one order; `verb` is what is done, `order_id` is None for a new one."""

    verb: str  # place, confirm, cancel, ship, deliver
    order_id: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class CommandAccepted:
    order_id: str
    status: str
    version: int
    position: int | None
    order_number: str | None = None
    replayed: bool = False


@dataclass(frozen=True)
class Health:
    """Where the log ends, and how far its slowest read model is behind."""

    head: int
    lag_events: int
    lag_seconds: float


class Gateway(Protocol):
    """Every method raises GatewayError and nothing else for what the network or the services do."""

    where: str

    async def orders(self, query: OrderQuery, *, cursor: str | None = None, oldest_first: bool = False) -> OrderPage:
        """A page in the asked order; `next_cursor` leads on in that order, `prev_cursor` back."""
        ...

    async def order(self, order_id: str, *, min_version: int | None = None, wait: float | None = None) -> WireOrder:
        """With `min_version`, answers once the view has reached it, or refuses after `wait` seconds."""
        ...

    async def timeline(self, order_id: str) -> list[WireEvent]:
        """Everything of the order's correlation, in the order of the log."""
        ...

    async def health(self) -> Health: ...

    async def read(self, path: str, shape: type[Shape], params: Mapping[str, str] | None = None) -> Shape:
        """What the query API answers to GET: for views that read what no other does, and so keep its shape."""
        ...

    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
        """Record it; the same key twice records once."""
        ...

    async def dry_run(self, command: CommandToSend) -> Sequence[WireEvent]:
        """The events it would record, without positions; nothing is recorded."""
        ...

    def feed(self, *, after: int) -> AsyncGenerator[bytes, None]:
        """The live stream's bytes from `after` on; the first item is empty and says that the stream is open."""
        ...

    async def close(self) -> None: ...
