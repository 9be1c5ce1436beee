"""Attention: what needs a person now, the most money at risk first: sagas, unpaid orders, daemons and readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Literal, TypeVar

from msgspec import Struct

from core.domain.money import DECIMALS
from core.pictures.shapes import Count, Moment, WireMoney, WireSaga
from core.printable import clean
from core.terminal_text import counted, money
from tui.gateway import Gateway, GatewayError
from tui.wire import OrderPage, WireOrder

ROWS = 100  # sagas that are read; the summary counts the others
UNPAID = 20  # unpaid orders that are read
LATE = 2.0  # seconds that a reader of the log may be behind
ALARMING = ("failed", "retrying", "overdue", "expiring")
OLD = 6.0  # seconds after which what was read last is shown as old

Shape = TypeVar("Shape")
Kind = Literal["saga", "order", "daemon"]


class RiskySaga(WireSaga, frozen=True, kw_only=True):
    """A saga as the list has it, and when the authorisation of its payment ends."""

    authorization_ends_at: Moment | None = None


class SagaList(Struct, frozen=True):
    sagas: tuple[RiskySaga, ...] = ()


class SagaCounts(Struct, frozen=True):
    states: Mapping[str, Count] = {}
    at_risk: Mapping[str, Mapping[str, Decimal]] = {}
    capped: bool = False


class DaemonLag(Struct, frozen=True):
    events: Count = 0
    seconds: float = 0.0


class ReaderPlace(Struct, frozen=True):
    name: str
    lag: DaemonLag = DaemonLag()


class DaemonAnswer(Struct, frozen=True):
    name: str
    answers: bool = True
    ready: bool = True
    reason: str = ""
    degraded: str = ""
    readers: tuple[ReaderPlace, ...] = ()


class DaemonAnswers(Struct, frozen=True):
    daemons: tuple[DaemonAnswer, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """One thing that needs a person. `subject` is the id of the saga or the order, or the name of the daemon.

    `next_at` is when it is tried again by itself, `next_words` what is said of that otherwise. `risk` is the money in
    the smallest unit of its currency. `action` is the name of the one sensible action, which enter does not do.
    """

    kind: Kind
    subject: str
    state: str
    what: str
    why: str
    since: datetime | None = None
    next_at: datetime | None = None
    next_words: str = ""
    money: WireMoney | None = None
    open_items: Sequence[str] = ()
    risk: int = 0
    action: str = "open"
    saga: WireSaga | None = None
    order_id: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind} {self.subject} {self.what}"


@dataclass
class Alarms:
    """How many things need a person, and their money; `more` when there are more of them than are counted."""

    count: int = 0
    money: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    more: bool = False


class AttentionModel:
    """`alarms` is None until they were read once. `error` is why they could not be read last."""

    def __init__(self, gateway: Gateway, clock: Callable[[], float]) -> None:
        self.gateway = gateway
        self.clock = clock
        self.troubles: Sequence[Trouble] = ()
        self.alarms: Alarms | None = None
        self.read_at: float | None = None
        self.error = ""
        self._sagas: Sequence[RiskySaga] = ()
        self._unpaid = OrderPage(())
        self._counts = SagaCounts()
        self._daemons: Sequence[DaemonAnswer] = ()
        self.daemons: Sequence[DaemonAnswer] | None = None
        """As the query API has just said it; None when it has not."""

    @property
    def age(self) -> float | None:
        """For how many seconds what is known may be out of date; None while it is fresh enough, or nothing is known."""
        if self.read_at is None:
            return None
        seconds = self.clock() - self.read_at
        return seconds if seconds > OLD or self.error else None

    async def read(self) -> None:
        """Ask the query API; each answer is bounded. What was known stays known when there is no answer."""
        errors = await asyncio.gather(self._read_sagas(), self._read_daemons())
        self.error = next(filter(None, errors), "")
        if not errors[0]:
            self.read_at = self.clock()
        if self.read_at is not None or not errors[1]:
            self.troubles = troubles(self._sagas, self._unpaid.orders[:UNPAID], self._daemons)
        if self.read_at is not None:
            self.alarms = alarms(self.troubles, self._counts, self._sagas, self._unpaid)

    async def _read_sagas(self) -> str:
        """Why they could not be read; empty if they were."""
        states = {"state": ",".join(ALARMING), "sort": "-at_risk", "limit": str(ROWS)}
        try:
            page, counts, unpaid = await asyncio.gather(
                self.gateway.read("/api/v1/sagas", SagaList, states),
                self.gateway.read("/api/v1/sagas/summary", SagaCounts),
                self.gateway.read("/api/v1/orders", OrderPage, {"payment": "UNPAID", "limit": str(UNPAID)}),
            )
        except GatewayError as error:
            return clean(str(error), 200)
        self._sagas, self._counts, self._unpaid = page.sagas[:ROWS], counts, unpaid
        return ""

    async def _read_daemons(self) -> str:
        """Why they could not be read. It may work while the database is away, and says so then."""
        try:
            self._daemons = (await self.gateway.read("/api/v1/daemons", DaemonAnswers)).daemons[:50]
            self.daemons = self._daemons
        except GatewayError as error:
            self.daemons = None
            return clean(str(error), 200)
        return ""


def troubles(
    sagas: Sequence[RiskySaga], unpaid: Sequence[WireOrder], daemons: Sequence[DaemonAnswer]
) -> Sequence[Trouble]:
    """Everything that needs a person: silent daemons first, and then by the money at risk, largest first."""
    found = [trouble for saga in sagas if (trouble := of_saga(saga))]
    told = {trouble.order_id for trouble in found if trouble.state == "FAILED"}
    found += [of_order(order) for order in unpaid if order.order_id not in told]
    found.sort(key=lambda one: (-one.risk, _SEVERITY.index(one.state), one.since.timestamp() if one.since else inf))
    own = [trouble for daemon in daemons for trouble in of_daemon(daemon)]
    lacks = {trouble.why: trouble for trouble in reversed(own) if trouble.state == "DEGRADED"}  # often several the same
    return [*(one for one in own if one.state != "DEGRADED" or lacks[one.why] is one), *found]


_SEVERITY = ("FAILED", "UNPAID", "OVERDUE", "RETRYING", "EXPIRING")
_STATES = {"failed": "FAILED", "overdue": "OVERDUE", "retrying": "RETRYING", "expiring": "EXPIRING"}


def of_saga(saga: RiskySaga) -> Trouble | None:
    """None for one that only waits: for its next turn, for room for its call, or for a provider that is away."""
    state = _STATES.get(saga.state or "")
    if state is None:
        return None
    items = [clean(item, 200) for item in saga.open.items[:20]]
    held = saga.open.money and WireMoney(saga.open.money.amount, clean(saga.open.money.currency, 8))
    ends = state == "EXPIRING"
    why = clean(saga.last_error or "", 300)
    if ends:
        why = items[0] if items else "the authorisation of its payment ends"
    elif not why:
        why = "no runner takes it up, or its time is over" if state == "OVERDUE" else "nothing is known of why"
    return Trouble(
        kind="saga",
        subject=saga.saga_id,
        state=state,
        what=clean(saga.order_number or saga.order_id, 40),
        why=why if ends or not saga.step else f"{clean(saga.step, 60)}: {why}",
        since=saga.updated_at if state == "FAILED" else saga.started_at,
        next_at=saga.authorization_ends_at if ends else saga.next_attempt_at,
        next_words=_next_words(state, saga),
        money=held,
        open_items=items,
        risk=saga.at_risk or _in_smallest_units(held),
        action=_ACTIONS[state],
        saga=None if ends else saga,
        order_id=saga.order_id,
    )


_ACTIONS = {"FAILED": "retry", "OVERDUE": "retry", "RETRYING": "retry", "EXPIRING": "advance"}


def _next_words(state: str, saga: RiskySaga) -> str:
    if state == "FAILED":
        return "never"
    if state == "EXPIRING":
        return "ends"
    return "now" if saga.claimed or saga.next_attempt_at is None else "try"


def of_order(order: WireOrder) -> Trouble:
    owed = WireMoney(order.authorized_amount or order.total_amount, clean(order.currency, 8))
    return Trouble(
        kind="order",
        subject=order.order_id,
        state="UNPAID",
        what=clean(order.order_number, 40),
        why="shipped, and the provider refuses for good to pay",
        since=order.updated_at,
        next_words="never",
        money=owed,
        open_items=[f"{money(owed.amount, owed.currency)} is shipped and not paid"],
        risk=_in_smallest_units(owed),
        action="open",
        order_id=order.order_id,
    )


def of_daemon(daemon: DaemonAnswer) -> Sequence[Trouble]:
    """That it does not answer or is not ready, or what it does without; and each of its readers that is far behind."""
    name, found = clean(daemon.name, 40), list[Trouble]()
    if not daemon.ready:
        state = "NOT READY" if daemon.answers else "NO ANSWER"
        found.append(Trouble("daemon", name, state, name, clean(daemon.reason, 300) or "it does not say why"))
    elif daemon.degraded:
        found.append(Trouble("daemon", name, "DEGRADED", name, clean(daemon.degraded, 300)))
    for reader in daemon.readers:
        if reader.lag.seconds >= LATE:
            behind = counted(reader.lag.events, "event")
            behind += f" behind the log, the oldest of them {_span(reader.lag.seconds)} old"
            found.append(Trouble("daemon", name, "LAGGING", clean(reader.name, 40), behind, next_words="goes on"))
    return found


def _span(seconds: float) -> str:
    return str(timedelta(seconds=int(min(seconds, 1e9))))


def alarms(found: Sequence[Trouble], counts: SagaCounts, read: Sequence[RiskySaga], unpaid: OrderPage) -> Alarms:
    """What was read is counted one by one; of the sagas and orders that were not read, the service knows the number."""
    result = Alarms(len(found), more=counts.capped)
    for trouble in found:
        if trouble.money is not None:
            _add(result.money, trouble.money.currency, trouble.money.amount)
    if len(read) >= ROWS:  # then there may be more than were read, and they are counted by their states
        result.count = sum(trouble.kind != "saga" for trouble in found) + sum(counts.states.get(s, 0) for s in ALARMING)
        result.money = {}
        for state in ALARMING:
            for currency, amount in counts.at_risk.get(state, {}).items():
                _add(result.money, clean(currency, 8), amount)
        for trouble in found:
            if trouble.kind == "order" and trouble.money is not None:
                _add(result.money, trouble.money.currency, trouble.money.amount)
    result.more |= (unpaid.total or 0) > UNPAID
    return result


def _add(sums: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    sums[currency] = sums.get(currency, Decimal(0)) + amount


def _in_smallest_units(money: WireMoney | None) -> int:
    if money is None or not money.amount.is_finite() or abs(money.amount.adjusted()) > 20:
        return 0
    return int(money.amount.scaleb(DECIMALS.get(money.currency, 2)))
