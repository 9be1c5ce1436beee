"""Saga: a table that reads down as the happy path and up as the compensation, and says everything about its steps.

Everything here is pure. `next_move` says what an instance does next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from core.domain.inventory import InventoryEvent, Stock
from core.domain.message import Event, OrderId, SagaId, Sku
from core.domain.order import Order, OrderEvent, Status
from core.domain.payment import Payment, PaymentEvent, PaymentStatus
from core.domain.provider import PaymentAnswer
from core.sagas.progress import DONE, MAY_HAVE_HAPPENED, Progress, SagaStatus, StepStatus, fold

SECONDS = timedelta(seconds=1)
MINUTES = timedelta(minutes=1)

Stream = Literal["order", "payment", "stock"]
Operation = Literal["authorise", "capture", "void", "refund"]


# --- what a step may do -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Facts:
    """What an action decides on: the streams it reads, folded; `reason` is why the saga compensates."""

    order_id: OrderId
    order: Order
    payment: Payment
    stock: Mapping[Sku, Stock]
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Effect:
    """The events an action wants recorded.

    `refusal`: a final no, so the step has had no effect, and why. `abandon`: why to stop here and compensate,
    whatever the step may have done already.
    """

    order: Sequence[OrderEvent] = ()
    payment: Sequence[PaymentEvent] = ()
    stock: Mapping[Sku, Sequence[InventoryEvent]] = field(default_factory=dict[Sku, Sequence[InventoryEvent]])
    refusal: str | None = None
    abandon: str | None = None


@dataclass(frozen=True, slots=True)
class Local:
    """An action within our own log: one append that guards every stream it reads."""

    reads: frozenset[Stream]
    decide: Callable[[Facts], Effect]


@dataclass(frozen=True, slots=True)
class Call:
    """An action outside: announced in the log, called with a derived key, and its answer recorded.

    `before` returns what to record instead of calling, or None to call.
    """

    operation: Operation
    before: Callable[[Facts], Effect | None]
    record: Callable[[Facts, PaymentAnswer], Effect]
    reads: frozenset[Stream] = frozenset({"payment"})


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to do, or to undo."""


Action = Local | Call | Nothing


# --- the table ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Holding:
    """Money, stock or the order itself, as long as a saga has not settled it.

    `words` name it to a person; `{money}`, `{stock}` and `{number}` stand for the order's own. An order with the status
    `settled_by` has settled it by itself.
    """

    what: Literal["money", "stock", "order"]
    words: str
    settled_by: Status | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One row of a saga's table.

    `holds`: what is open once the step may have happened, until it is undone. `owes`: what is open until the step is
    done, in a saga that only goes forward. `within`: how long the step is tried, at least; None: for ever.
    """

    name: str
    do: Action
    undo: Action
    holds: Holding | None
    within: timedelta | None = None
    owes: Holding | None = None


class TurnBack(StrEnum):
    """Until when an operator may turn a saga back."""

    NEVER = "never"
    UNTIL_IT_ENDS = "until it ends"
    EVEN_COMPLETED = "even when it is completed"


@dataclass(frozen=True, slots=True)
class End:
    """How an order stands once a saga has ended with `status`: the order's status, its payment's, and its stock."""

    status: SagaStatus
    orders: Sequence[Status]
    payments: Sequence[PaymentStatus]
    stock_held: bool


@dataclass(frozen=True, slots=True)
class Saga:
    """A table. Once it is released it is never edited: a change is a new table with the next `definition`.

    `starts_on`: the order's event that starts it. `after`: the name of the saga that must have ended before that event,
    else this one does not start, because that one undoes itself. `before`: the order's event that is refused until this
    saga has ended. `ends`: how it may end, for `verify`.

    `forward_only`: it never gives up by itself, its steps are tried until they are done.
    `undoes`: its steps are undos themselves, so they give up as undos do.
    """

    name: str
    definition: int
    starts_on: type[Event]
    steps: Sequence[Step]
    forward_only: bool = False
    undoes: bool = False
    turn_back: TurnBack = TurnBack.NEVER
    after: str | None = None
    before: type[Event] | None = None
    ends: Sequence[End] = ()

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    @property
    def deadline(self) -> timedelta | None:
        """All steps' `within` together; None when one has none."""
        limits = [step.within for step in self.steps if not isinstance(step.do, Nothing)]
        return None if None in limits else sum((limit for limit in limits if limit), timedelta())


Tables = Mapping[tuple[str, int], Saga]
"""Every table of a release, by name and definition."""


def newest(tables: Tables) -> Mapping[str, Saga]:
    """Of each name the table with the highest definition: the one that new instances start on."""
    return {name: tables[name, definition] for name, definition in sorted(tables)}


def unknown_table(name: str, definition: int) -> Saga:
    """Stands for a table that this release does not have: without steps, since nothing of it is guessed."""
    return Saga(name, definition, Event, ())


# --- one instance -------------------------------------------------------------------------------------------
@dataclass
class Instance:
    """One saga of one order, and how far it has come."""

    saga: Saga
    saga_id: SagaId
    order_id: OrderId
    progress: Progress

    def fold(self, new: Sequence[Event], now: datetime) -> Instance:
        """The instance as it is once these events are recorded at `now`."""
        return Instance(self.saga, self.saga_id, self.order_id, fold(self.progress, new, now))


@dataclass(frozen=True, slots=True)
class Move:
    """Run a step's `do` or its `undo`."""

    step: Step
    forward: bool

    @property
    def action(self) -> Action:
        return self.step.do if self.forward else self.step.undo


def next_move(saga: Saga, progress: Progress) -> Move | SagaStatus | None:
    """What to do next, the status it has come to the end with, or None when it has ended already."""
    if progress.status is SagaStatus.RUNNING:
        for step in saga.steps:
            status = progress.of(step.name)
            if status not in DONE:
                return SagaStatus.FAILED if saga.undoes and status is StepStatus.FAILED else Move(step, forward=True)
        return SagaStatus.COMPLETED
    if progress.status is SagaStatus.COMPENSATING:
        if StepStatus.COMPENSATION_FAILED in progress.steps.values():
            return SagaStatus.FAILED  # whatever else there is to undo: a person decides
        for step in reversed(saga.steps):  # one at a time, from the last that may have had an effect
            if progress.of(step.name) in MAY_HAVE_HAPPENED:
                return Move(step, forward=False)
        return SagaStatus.COMPENSATED
    return None
