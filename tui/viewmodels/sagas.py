"""The list of sagas: how it is read, and how the events of the feed change it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from core.pictures.shapes import WireSaga
from tui.gateway import Gateway, GatewayError, ServiceRefused
from tui.viewmodels.list_source import ListPage
from tui.viewmodels.listing import Listing
from tui.viewmodels.ring import RingFrame
from tui.viewmodels.rows import RowPage
from tui.viewmodels.saga_filters import SagaQuery, is_id
from tui.wire import Count, WireOrder

NEWEST, AT_RISK = "-started_at", "-at_risk"  # how the list is sorted, as the API names it
MOST_ROWS = 50  # of a page: the service works out for each of them what is open
MOST_EMPTY = 100  # pages without a row, of the past, that are passed over
AGAIN = 5.0  # seconds after which the list is read again: a saga becomes overdue without an event
COUNTED = 1.0  # seconds between two countings of the tabs
Seconds = Annotated[float, Meta(ge=0, le=1e12)]
_SAGA_OF = re.compile(rb'"aggregate_id":\s*"([0-9a-fA-F-]{36})"')


class SagaPageAnswer(Struct, frozen=True):
    sagas: tuple[WireSaga, ...]
    next_cursor: str | None = None
    prev_cursor: str | None = None


class WireBacklog(Struct, frozen=True):
    """What waits for a saga runner, and for how many seconds the oldest of each has; a service of before has none."""

    due: Count = 0
    due_for: Seconds = 0.0
    unstarted: Count = 0
    unstarted_for: Seconds = 0.0

    @property
    def waiting(self) -> int:
        return self.due + self.unstarted

    @property
    def waits_for(self) -> float:
        return max(self.due_for, self.unstarted_for)


class WireSagaSummary(Struct, frozen=True):
    """How many sagas there are in each state and of each status, the money that is open by currency, and what waits."""

    states: dict[str, Count] = {}
    statuses: dict[str, Count] = {}
    money_open: dict[str, Decimal] = {}
    backlog: WireBacklog = WireBacklog()


class Tab(NamedTuple):
    """A part of the list that is one key away; without states it is all of it."""

    label: str
    states: tuple[str, ...]
    tone: str = ""


TABS = (
    Tab("needs attention", ("failed", "overdue", "retrying", "expiring"), "warn"),
    Tab("failed", ("failed",), "bad"),
    Tab("overdue", ("overdue",), "bad"),
    Tab("retrying", ("retrying",), "warn"),
    Tab("expiring", ("expiring",), "warn"),
    Tab("running", ("running",), "moving"),
    Tab("waiting", ("waiting",)),
    Tab("all", ()),
)
ALL = len(TABS) - 1


@dataclass(frozen=True)
class SagasSource:
    """The sagas that match a query, sorted as `sort` says in the API's words."""

    gateway: Gateway = field(compare=False)
    query: SagaQuery = field(default_factory=SagaQuery)
    sort: str = NEWEST

    @property
    def filtered(self) -> bool:
        return self.query != SagaQuery()

    async def page(self, cursor: str | None, *, from_end: bool) -> ListPage[WireSaga]:  # noqa: ARG002 - of the protocol
        """The API has no list from its other end, so there is only the one from its top."""
        page = await self._read({"limit": str(MOST_ROWS), **({"cursor": cursor} if cursor else {})})
        for _ in range(MOST_EMPTY):
            if page.sagas or not page.next_cursor:
                break
            page = await self._read({"limit": str(MOST_ROWS), "cursor": page.next_cursor})
        return ListPage(RowPage(page.sagas, older=page.next_cursor, newer=page.prev_cursor))

    async def among(self, keys: Sequence[str]) -> Sequence[WireSaga]:
        return (await self._read({"saga_id": ",".join(keys), "limit": str(len(keys))})).sagas

    async def count(self) -> ListPage[WireSaga]:
        return ListPage(RowPage(()))

    def key(self, row: WireSaga) -> str:
        return row.saga_id

    def above(self, row: WireSaga, other: WireSaga) -> bool:
        return self._rank(row) > self._rank(other)

    def _rank(self, row: WireSaga) -> tuple[float, str]:
        if self.sort == AT_RISK:
            return row.at_risk or 0, row.saga_id
        return 0.0 if row.started_at is None else row.started_at.timestamp(), row.saga_id

    async def _read(self, more: dict[str, str]) -> SagaPageAnswer:
        query = self.query
        params = dict(more)
        if query.states:
            params["state"] = ",".join(query.states)
        if query.statuses:
            params["status"] = ",".join(query.statuses)
        params |= {name: value for name, value in (("name", query.name), ("error", query.error)) if value}
        if self.sort != NEWEST:
            params["sort"] = self.sort
        if query.order:
            params["order_id"] = query.order if is_id(query.order) else await self._order_of(query.order)
        if not query.about:
            return await self.gateway.read("/api/v1/sagas", SagaPageAnswer, params)
        by_saga = await self.gateway.read("/api/v1/sagas", SagaPageAnswer, params | {"saga_id": query.about})
        if by_saga.sagas:
            return by_saga
        return await self.gateway.read("/api/v1/sagas", SagaPageAnswer, params | {"order_id": query.about})

    async def _order_of(self, number: str) -> str:
        return (await self.gateway.read(f"/api/v1/orders/number/{number}", WireOrder)).order_id


class SagasModel(Listing[WireSaga]):
    """Sagas enter and leave the list as their events arrive; what became of one is asked of the server each time."""

    def __init__(self, gateway: Gateway, clock: Callable[[], float]) -> None:
        self.gateway = gateway
        self.typed = SagaQuery()
        self.tab: int | None = None
        self.sort = NEWEST
        self.summary: WireSagaSummary | None = None
        self._again_at = 0.0
        self._measure_at = 0.0
        super().__init__(SagasSource(gateway), clock)

    async def open(self) -> None:
        """Read the list; for the first time what needs attention, or else all of it."""
        await self.measure()
        if self.tab is None:
            self.tab = 0 if self.count_of(TABS[0]) else ALL
        await self.search()

    async def search(self) -> None:
        """Show the sagas of the chosen tab that match what is typed."""
        states = TABS[ALL if self.tab is None else self.tab].states
        await self.load(SagasSource(self.gateway, self.typed.within(states), self.sort))

    async def measure(self) -> None:
        """Ask how many there are; of an older service nobody knows."""
        try:
            self.summary = await self.gateway.read("/api/v1/sagas/summary", WireSagaSummary)
        except ServiceRefused:
            self.summary = None
        except GatewayError:
            pass  # the list says what is wrong

    def count_of(self, tab: Tab) -> int | None:
        if self.summary is None:
            return None
        if not tab.states:
            return None  # those that have ended are not counted
        return sum(self.summary.states.get(state, 0) for state in tab.states)

    def absorb(self, frames: Iterable[RingFrame]) -> None:
        """Take in what the feed brought: it says of which sagas the server has news."""
        for frame in frames:
            if frame.event_type.startswith("Saga") and (found := _SAGA_OF.search(frame.data)):
                self.questions.ask(found[1].decode())

    def update(self, row: WireSaga, *, belongs: bool | None) -> None:
        """A row that is as it was is not highlighted."""
        if not belongs or self.window.find(row.saga_id) != row:
            super().update(row, belongs=belongs)

    def grow_old(self) -> None:
        """Have the list read again from time to time, while it is on the screen."""
        self.forget_old_changes()
        if self.phase == "ready" and self.clock() >= self._again_at:
            self._again_at = self.clock() + AGAIN
            self.questions.again = True

    async def catch_up(self) -> None:
        """The tabs are counted again too, but not at each question."""
        if self.clock() >= self._measure_at:
            self._measure_at = self.clock() + COUNTED
            await self.measure()
        await super().catch_up()
