"""Saga: a table of steps. They are done from top to bottom, and undone from bottom to top when one of them fails.

Everything here is pure. `next_move` says what a saga does next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
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
    """What an action may base its decision on: the states of streams. `reason` is why the saga compensates.

    `about` is which saga it is, if its order may have several of its name.
    `keys` are the provider's keys of the calls that were announced for the present step.
    """

    order_id: OrderId
    order: Order
    payment: Payment
    stock: Mapping[Sku, Stock]
    reason: str
    now: datetime
    about: str = ""
    keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """The events that an action records.

    `refusal`: the step was refused for good and had no effect, and this is why. `abandon`: the saga must compensate,
    this step included, and this is why. `then`: the step is not done yet, and this call must be made next.
    """

    order: Sequence[OrderEvent] = ()
    payment: Sequence[PaymentEvent] = ()
    stock: Mapping[Sku, Sequence[InventoryEvent]] = field(default_factory=dict[Sku, Sequence[InventoryEvent]])
    refusal: str | None = None
    abandon: str | None = None
    then: Call | None = None


@dataclass(frozen=True, slots=True)
class Local:
    """An action that only appends to our log, and guards every stream in `reads`. `words` tell people what it does."""

    words: str
    reads: frozenset[Stream]
    decide: Callable[[Facts], Effect]


@dataclass(frozen=True, slots=True)
class Call:
    """An action of the payment provider. It is announced in the log, called, and its answer is recorded.

    `words` tell a person what it does.
    `before` returns what to record instead of calling the provider, or None to call it. `authorization` is the number
    of the order's authorisation that the call is about. `renewal` is the call that authorises the amount anew; it is
    made first if the authorisation has ended. `amount` is how much to refund.
    """

    words: str
    operation: Operation
    before: Callable[[Facts], Effect | None]
    record: Callable[[Facts, PaymentAnswer], Effect]
    reads: frozenset[Stream] = frozenset({"payment"})
    amount: Callable[[Facts], Decimal] = field(default=lambda facts: facts.payment.refundable)
    authorization: Callable[[Payment], int] = field(default=lambda _: 1)
    renewal: Call | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """The step has nothing to do, or nothing to undo."""

    words: str = "nothing to do"


Action = Local | Call | Nothing


# --- the table ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Holding:
    """Money, stock or the order's status, which a saga still has to settle.

    `words` tell a person about it; `{money}`, `{stock}` and `{number}` are filled in from the order. `once_refused` are
    the words once the step was refused for good. When the order has the status `settled_by`, nothing is left to settle.
    """

    what: Literal["money", "stock", "order"]
    words: str
    settled_by: Status | None = None
    once_refused: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One row of a saga's table.

    `holds`: what is open from the moment the step may have happened until it is undone. `owes`: what is open until the
    step is done, in a saga that only goes forward. `within`: for how long the step is tried at least; None: for ever.
    """

    name: str
    do: Action
    undo: Action
    holds: Holding | None
    within: timedelta | None = None
    owes: Holding | None = None


class TurnBack(StrEnum):
    """Until when an operator may make a saga undo its steps."""

    NEVER = "never"
    UNTIL_IT_ENDS = "until it ends"
    EVEN_COMPLETED = "even when it is completed"


@dataclass(frozen=True, slots=True)
class End:
    """What must be true once a saga has ended with `status`: for the order, its payment and its stock."""

    status: SagaStatus
    orders: Sequence[Status]
    payments: Sequence[PaymentStatus]
    stock_held: bool


@dataclass(frozen=True, slots=True)
class Saga:
    """A table. Once it is released it is never edited: a change is a new table with the next `definition`.

    `starts_on`: the order's event that starts the saga. `about`: the field of such an event that says what it is about,
    such as the id of a refund; an order has one saga of this name for each of them. None: it has one in all. `after`:
    the name of another saga; if that one had not ended before the event, this saga does not start, because the other
    one undoes its own steps. `before`: the order's event that is refused until this saga has ended. `ends`: how the
    saga may end, for `verify`.

    `forward_only`: the saga does not undo its steps by itself, but tries them until they are done or refused for good.
    A step that was refused keeps no other step waiting.
    `undoes`: the steps undo something themselves, so the saga gives up on them as it does on undos.
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
    about: str | None = None
    ends: Sequence[End] = ()

    def about_which(self, event: Event | None, otherwise: str) -> str:
        """What the event is about, of those for which an order has a saga each. `otherwise`: if it cannot be read."""
        if self.about is None:
            return ""
        return str(getattr(event, self.about)) if isinstance(event, self.starts_on) else otherwise

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    @property
    def deadline(self) -> timedelta | None:
        """The sum of `within` of all steps; None when a step is tried for ever."""
        limits = [step.within for step in self.steps if not isinstance(step.do, Nothing)]
        return None if None in limits else sum((limit for limit in limits if limit), timedelta())


def renewed(keys: Sequence[str]) -> bool:
    """Whether one of these calls of the provider, which belong to a step after the order was shipped, authorises."""
    return any(":authorise" in key for key in keys)


Tables = Mapping[tuple[str, int], Saga]
"""All tables of a release, by name and definition."""


def newest(tables: Tables) -> Mapping[str, Saga]:
    """For each name, the table with the highest definition. New sagas start with it."""
    return {name: tables[name, definition] for name, definition in sorted(tables)}


def unknown_table(name: str, definition: int) -> Saga:
    """Stands for a table that this release does not have. It has no steps, because nobody can guess them."""
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
        """The instance after these events, which are recorded at `now`."""
        return Instance(self.saga, self.saga_id, self.order_id, fold(self.progress, new, now))


@dataclass(frozen=True, slots=True)
class Move:
    """What a saga does next: a step's `do` if `forward`, or else its `undo`."""

    step: Step
    forward: bool

    @property
    def action(self) -> Action:
        return self.step.do if self.forward else self.step.undo


def next_move(saga: Saga, progress: Progress) -> Move | SagaStatus | None:
    """The next move; or the status with which the saga ends now; or None when it has ended already."""
    if progress.status is SagaStatus.RUNNING:
        refused, steps = False, progress.steps
        for step in saga.steps:
            status = steps.get(step.name, StepStatus.PENDING)  # as `of`, which would be called often here
            if status in DONE:
                continue
            if status is not StepStatus.FAILED or not (saga.undoes or saga.forward_only):
                return Move(step, forward=True)
            if saga.undoes:
                return SagaStatus.FAILED
            refused = True
        return SagaStatus.FAILED if refused else SagaStatus.COMPLETED
    if progress.status is SagaStatus.COMPENSATING:
        if StepStatus.COMPENSATION_FAILED in progress.steps.values():
            return SagaStatus.FAILED  # a person decides what happens to the other steps
        for step in reversed(saga.steps):  # undone one at a time, the last step first
            if progress.of(step.name) in MAY_HAVE_HAPPENED:
                return Move(step, forward=False)
        return SagaStatus.COMPENSATED
    return None
