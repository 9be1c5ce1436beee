"""Work: one saga while a runner works on it, and the append that records its next step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from msgspec.structs import replace
from uuid_utils.compat import uuid7

from core.domain import saga as saga_events
from core.domain.inventory import Stock
from core.domain.message import Event, Metadata, OrderId, SagaId, Sku, StreamId, payment_of, saga_of
from core.domain.order import ORDER, Order
from core.domain.payment import PAYMENT, Payment
from core.domain.saga import SagaEvent
from core.ports.log import Append, Entry, EventStore, NewEvent, SagaRow
from core.sagas.holdings import open_money
from core.sagas.progress import Progress, SagaStatus, evolve
from core.sagas.record import Record, concluded, gave_up
from core.sagas.refund_actions import refund_about
from core.sagas.saga import Effect, Facts, Instance, Local, Move, Saga, Stream, next_move
from core.services.load import Loaded, load_state
from core.services.sagas.measure import measure_saga

LEASE = timedelta(seconds=30)
FIRST_EPOCH = 1  # of the first lease, which the runner that starts a saga gets
OURS = (SagaStatus.RUNNING, SagaStatus.COMPENSATING)


# --- load ---------------------------------------------------------------------------------------------------
@dataclass
class Work(Instance):
    """A saga that a runner works on, with its streams as they were last read.

    An append names the versions of these streams, so it ends in a conflict if one of them has new events.

    `cause` is the id of the event that made the next append necessary: first the event that started the saga, later the
    saga's own last event. `traceparent` names the trace that the saga belongs to, and `step_traceparent` its span of
    the step that is made now. `user_id` and `request_id` are set when an operator acts on the saga. With
    `waits_for_provider` it was parked because the provider could not be called.
    """

    owner: str
    epoch: int
    version: int
    order: Loaded[Order]
    payment: Loaded[Payment]
    cause: UUID | None
    started_at: datetime
    user_id: str | None = None
    request_id: str | None = None
    waits_for_provider: bool = False
    traceparent: str | None = None
    step_traceparent: str | None = None

    @property
    def lacks_its_start(self) -> bool:
        """Whether the order does not have the event that started the saga, since an operator has left it out."""
        order, about = self.order.state, self.progress.about
        return order.created is None or (bool(about) and refund_about(order, about) is None)

    def facts(self, now: datetime, stock: Mapping[Sku, Stock] | None = None) -> Facts:
        return Facts(
            order_id=self.order_id,
            order=self.order.state,
            payment=self.payment.state,
            stock=stock or {},
            reason=self.progress.reason or self._asked_because(),
            now=now,
            about=self.progress.about,
            keys=self.progress.keys,
        )

    def _asked_because(self) -> str:
        order = self.order.state
        refund = refund_about(order, self.progress.about)
        return (refund.reason if refund else order.cancel_reason) or ""


async def load_work(
    store: EventStore, saga: Saga, saga_id: SagaId, order_id: OrderId, *, owner: str, epoch: int
) -> Work | None:
    """Read the saga's stream, its order and its payment. Returns None when the saga never started."""
    recorded = await store.load(StreamId(saga_id))
    progress: Progress | None = None
    for event in recorded:
        progress = evolve(progress, event.event, event.recorded_at)
    if progress is None:
        return None
    order = await load_state(store, ORDER, StreamId(order_id))
    if progress.about and refund_about(order.state, progress.about) is None:
        progress = await _about_its_event(store, saga, progress, order_id)
    return Work(
        saga=saga,
        saga_id=saga_id,
        order_id=order_id,
        owner=owner,
        epoch=epoch,
        version=recorded[-1].version,
        progress=progress,
        order=order,
        payment=await load_state(store, PAYMENT, StreamId(payment_of(order_id))),
        cause=recorded[-1].event_id,
        started_at=recorded[0].recorded_at,
        traceparent=recorded[0].metadata.traceparent,
    )


async def _about_its_event(store: EventStore, saga: Saga, progress: Progress, order_id: OrderId) -> Progress:
    """The saga with what it is about, if that was the id of its event, which could not be read when it was started."""
    for each in await store.load(StreamId(order_id)):
        if str(each.event_id) == progress.about and isinstance(each.event, saga.starts_on):
            return replace(progress, about=saga.about_which(each.event, progress.about))
    return progress


def new_work(saga: Saga, order_id: OrderId, cause: UUID | None, *, owner: str, now: datetime, about: str = "") -> Work:
    """A saga that has no event yet, of an order of which nothing was read."""
    return Work(
        saga=saga,
        saga_id=saga_of(order_id, saga.name, about),
        order_id=order_id,
        owner=owner,
        epoch=0,
        version=0,
        progress=Progress(status=SagaStatus.RUNNING, since=now, about=about),
        order=Loaded(ORDER.initial, 0, 0),
        payment=Loaded(PAYMENT.initial, 0, 0),
        cause=cause,
        started_at=now,
    )


# --- append -------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class SagaAppend:
    """What one append records: a step's effect, the saga's own events, and its row. It guards the streams in `reads`.

    `progress` and `next` are how far the saga has come after it, and what it does then.
    `due_in`: after this time, any runner may claim the saga; None: its owner keeps the lease. `waits_for`: why the saga
    is parked although nothing was tried. `last` is the id that the last of the saga's own events gets.
    """

    work: Work
    effect: Effect
    events: Sequence[SagaEvent]
    reads: frozenset[Stream]
    progress: Progress
    next: Move | SagaStatus | None
    due_in: timedelta | None = None
    waits_for: str | None = None
    last: UUID = field(default_factory=uuid7)

    def entries(self) -> list[Entry]:
        """The entries of the payment, the order and the saga, in this order. The entries of SKUs are not among them."""
        work, entries = self.work, list[Entry]()
        if self.effect.payment or "payment" in self.reads:
            stream = StreamId(payment_of(work.order_id))
            entries.append(Entry(stream, "payment", work.payment.version, self.new(self.effect.payment)))
        if self.effect.order or "order" in self.reads:
            entries.append(Entry(StreamId(work.order_id), "order", work.order.version, self.new(self.effect.order)))
        own = self._new(self.events, epoch=work.epoch or FIRST_EPOCH, last=self.last)
        if own and work.step_traceparent and isinstance(own[0].event, saga_events.SagaStarted):
            # It names the whole saga's trace to those who read it; the step that is recorded with it is a part of that.
            of_saga = replace(own[0].metadata, traceparent=work.traceparent)
            own[0] = NewEvent(own[0].event_id, own[0].event, of_saga)
        entries.append(Entry(StreamId(work.saga_id), saga_events.CATEGORY, work.version, own))
        return entries

    def row(self) -> SagaRow:
        work, progress = self.work, self.progress
        order = ORDER.fold(self.effect.order, work.order.state)
        ours = progress.status in OURS
        return SagaRow(
            saga_id=work.saga_id,
            name=work.saga.name,
            definition=work.saga.definition,
            order_id=work.order_id,
            epoch=work.epoch,
            owner=work.owner if ours and self.due_in is None else None,
            status=progress.status,
            step=self.next.step.name if isinstance(self.next, Move) else "",
            attempts=progress.attempts,
            last_error=self.waits_for or progress.last_error,
            due_in=(LEASE if self.due_in is None else self.due_in) if ours else None,
            open_amount=open_money(work.saga, progress, order),
            currency=order.created.currency if order.created else None,
        )

    def append(self) -> Append:
        return Append(self.entries(), sagas=[self.row()])

    def new(self, events: Sequence[Event]) -> list[NewEvent]:
        """The events of another stream, ready to append. They do not name the lease's epoch."""
        return self._new(events)

    def _new(self, events: Sequence[Event], epoch: int | None = None, last: UUID | None = None) -> list[NewEvent]:
        if not events:
            return []
        work = self.work
        metadata = Metadata(
            correlation_id=work.order_id,
            causation_id=work.cause,
            user_id=work.user_id,
            request_id=work.request_id,
            epoch=epoch,
            traceparent=work.step_traceparent or work.traceparent,
        )
        new = [NewEvent(uuid7(), event, metadata) for event in events[:-1]]
        return [*new, NewEvent(last or uuid7(), events[-1], metadata)]

    def applied(self) -> None:
        """Bring `work` up to date after the append was recorded, and measure what it recorded."""
        measure_saga(self.work.saga.name, self.events, self.work.started_at)
        self._bring_up_to_date(self.work)

    def after(self) -> Work:
        """The saga as it is once this append is recorded."""
        work = copy(self.work)
        self._bring_up_to_date(work)
        return work

    def _bring_up_to_date(self, work: Work) -> None:
        work.version += len(self.events)
        work.progress = self.progress
        work.cause = self.last if self.events else work.cause
        if self.effect.order:
            state = ORDER.fold(self.effect.order, work.order.state)
            work.order = Loaded(state, work.order.version + len(self.effect.order), work.order.position)
        if self.effect.payment:
            paid = PAYMENT.fold(self.effect.payment, work.payment.state)
            work.payment = Loaded(paid, work.payment.version + len(self.effect.payment), work.payment.position)


def draft(
    work: Work,
    effect: Effect,
    record: Record,
    now: datetime,
    *,
    reads: frozenset[Stream] = frozenset(),
    due_in: timedelta | None = None,
    waits_for: str | None = None,
) -> SagaAppend:
    """The append that records an effect and the saga's events.

    If the saga gives up with them, SagaFailed is added, which says what is still open.
    """
    events, progress = record
    move = next_move(work.saga, progress)
    if move is SagaStatus.FAILED:
        after = Instance(work.saga, work.saga_id, work.order_id, progress)
        end = gave_up(after, work.order.state)
        events, progress, move = [*events, end], after.fold([end], now).progress, None
    return SagaAppend(work, effect, events, reads, progress, move, due_in, waits_for)


def with_move(
    first: SagaAppend, move: Move, action: Local, now: datetime, stock: Mapping[Sku, Stock] | None = None
) -> SagaAppend:
    """The same append, in which this move is made as well. One append costs less than two."""
    after = first.after()
    effect = action.decide(after.facts(now, stock))
    new = concluded(after, move, effect, now, after.payment.state)
    both = Effect(
        order=[*first.effect.order, *effect.order],
        payment=[*first.effect.payment, *effect.payment],
        stock=effect.stock or first.effect.stock,
    )
    record = Record([*first.events, *new.events], new.progress)
    return draft(first.work, both, record, now, reads=first.reads | action.reads)
