"""Case: all events about one order, folded one by one. It notes each event that cannot have happened there. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from core.audit.saga_story import SagaRules, SagaStory
from core.audit.seals import SealedPart, look_at_seals
from core.codec import StoredEvent, decode
from core.domain import inventory, order, payment
from core.domain import saga as sagas
from core.domain.message import Event, OrderId, ReservationId, SagaId, Sku, payment_of, saga_of
from core.domain.order import ORDER, Order
from core.domain.passage import Passage
from core.domain.payment import PAYMENT, Payment
from core.ports.dead_letters import SkippedEvent
from core.ports.evidence import Finding
from core.ports.sagas import READER as SAGA_RUNNER
from core.projections.order_view import ORDER_VIEW, OrderView
from core.projections.projection import At, Source
from core.sagas.progress import evolve
from core.services.fold_events import row_stream


class Later(NamedTuple):
    """An event after the position that a reader has reached; with what it says, if it can be read."""

    source: Source
    stored: StoredEvent
    events: Sequence[Event]


class Skips(NamedTuple):
    """The ids of events that operators have left out for ever: of the view, and of what sagas and commands read."""

    of_view: frozenset[UUID] = frozenset()
    of_decisions: frozenset[UUID] = frozenset()

    def has(self, event_id: UUID) -> bool:
        return event_id in self.of_view or event_id in self.of_decisions


NO_SKIPS = Skips()


def skips(skipped: Sequence[SkippedEvent], reader: str) -> Skips:
    """What is left out of the views of this reader."""
    found = (frozenset(one.event_id for one in skipped if one.reader == each) for each in (reader, SAGA_RUNNER))
    return Skips(*found)


@dataclass
class Case:
    """Everything that the log says about one order.

    `view` is the order's view as a reader at position `seen_to` must have it at least, and `later` are the events after
    that which would change it. `first` has the position of the first event of each type in the order's own stream,
    `last` the position of the last event in any of its streams. `due` has the id of each saga that an event of the
    order asks for, with its name and the position of that event, and `due_as` the id that it has if the event could not
    be read when it was started.
    `sealed` is what is sealed in the order, where it was sealed. From the first event on that a newer release has
    recorded (`newer`), nothing is found wrong any more, since what follows cannot be understood without it.
    `unknown` names what `verify` has no rule for: unknown events, and sagas whose table this release does not have.
    """

    order_id: OrderId
    seen_to: int
    rules: SagaRules
    skips: Skips = NO_SKIPS
    order: Order = ORDER.initial
    payment: Payment = PAYMENT.initial
    view: OrderView | None = None
    later: list[Later] = field(default_factory=list[Later])
    held: dict[ReservationId, tuple[Sku, int]] = field(default_factory=dict[ReservationId, tuple[Sku, int]])
    shipped: Counter[Sku] = field(default_factory=Counter[Sku])
    returned: Counter[Sku] = field(default_factory=Counter[Sku])
    sagas: dict[SagaId, SagaStory] = field(default_factory=dict[SagaId, SagaStory])
    due: dict[SagaId, tuple[str, int]] = field(default_factory=dict[SagaId, tuple[str, int]])
    due_as: dict[SagaId, SagaId] = field(default_factory=dict[SagaId, SagaId])
    first: dict[type[Event], int] = field(default_factory=dict[type[Event], int])
    sealed: list[SealedPart] = field(default_factory=list[SealedPart])
    last: int = 0
    unreadable: bool = False
    newer: bool = False
    unknown: set[str] = field(default_factory=set[str])
    findings: list[Finding] = field(default_factory=list[Finding])

    def fold(self, story: Sequence[StoredEvent]) -> Case:
        for stored in story:
            self.last = stored.position
            events: Sequence[Event] = ()
            try:
                events = decode(stored.event_type, stored.schema_version, stored.payload)
            except Exception as error:  # noqa: BLE001 - for any error, it is noted, and the order is not judged
                self.unreadable = True
                if stored.newer:
                    self.newer = True
                    self.unknown.add(of_a_newer_release(stored))
                elif not self.skips.has(stored.event_id):
                    self._note("I2", stored, f"{stored.event_type} cannot be read: {error}")
            self._fold_view(stored, () if stored.event_id in self.skips.of_view else events)
            if stored.event_id in self.skips.of_decisions:
                self.unreadable = True
                continue
            for event in events:
                self._fold_event(stored, event)
        return self

    def _fold_event(self, stored: StoredEvent, event: Event) -> None:
        match event:
            case order.OrderEvent():
                self._fold_order(stored, event)
            case payment.PaymentEvent():
                self._fold_payment(stored, event)
            case inventory.InventoryEvent():
                self._fold_stock(stored, event)
            case sagas.SagaEvent():
                self._fold_saga(stored, event)
            case _:
                self.unknown.add(f"event {stored.event_type}")

    @property
    def judgeable(self) -> bool:
        """Whether this release understands all events of the order."""
        return not self.unreadable and not self.unknown

    def _fold_order(self, stored: StoredEvent, event: order.OrderEvent) -> None:
        if stored.stream != self.order_id or event.order_id != self.order_id:
            self._note("I2", stored, f"{stored.event_type} of order {event.order_id} lies with order {self.order_id}")
            return
        self._check("I6", stored, order.PASSAGES.get(type(event)), self.order.status, "an order")
        self.order = ORDER.evolve(self.order, event)
        if isinstance(event, order.OrderCreated):
            parts, wrong = look_at_seals(stored, event)
            self.sealed += parts
            for each in wrong:
                self._note("I2", stored, each)
        self.first.setdefault(type(event), stored.position)
        for name, table in self.rules.newest.items():
            if isinstance(event, table.starts_on):
                about = table.about_which(event, "")
                saga_id = saga_of(self.order_id, name, about)
                self.due.setdefault(saga_id, (name, stored.position))
                self.due_as[saga_id] = saga_of(self.order_id, name, table.about_which(None, str(stored.event_id)))

    def _fold_view(self, stored: StoredEvent, events: Sequence[Event]) -> None:
        """Fold the event as a projector does, also if it lies in a wrong stream."""
        source = next((each for each in ORDER_VIEW.sources if each.category == stored.category), None)
        if source is None or row_stream(ORDER_VIEW, source, stored) != self.order_id:
            return
        if stored.position > self.seen_to:
            self.later.append(Later(source, stored, events))
            return
        try:
            self.view = ORDER_VIEW.apply(source, self.view, events, At(stored.version, stored.recorded_at))
        except Exception as error:  # noqa: BLE001 - a projector sets such an event aside
            self.unreadable = True
            self._note("I2", stored, f"{stored.event_type} cannot be folded: {error!r}")

    def go_on_to(self, row: OrderView | None) -> None:
        """Bring the view to the versions of the row, since partitions of Kafka may be read further than `seen_to`."""
        for source, stored, events in self.later:
            if row is not None and stored.version <= getattr(row, source.version):
                self.view = ORDER_VIEW.apply(source, self.view, events, At(stored.version, stored.recorded_at))

    def _fold_payment(self, stored: StoredEvent, event: payment.PaymentEvent) -> None:
        if stored.stream != payment_of(self.order_id) or event.order_id != self.order_id:
            self._note("I2", stored, f"{stored.event_type} of order {event.order_id} lies with order {self.order_id}")
            return
        self._check("I4", stored, payment.PASSAGES.get(type(event)), self.payment.status, "a payment")
        if isinstance(event, payment.PaymentRefunded) and event.amount > self.payment.refundable:
            left, captured = self.payment.refundable, self.payment.captured
            self._note("I4", stored, f"a refund of {event.amount}, when {left} of {captured} captured were left")
        self.payment = PAYMENT.evolve(self.payment, event)

    def _check(
        self, invariant: str, stored: StoredEvent, passage: Passage[StrEnum] | None, status: StrEnum, what: str
    ) -> None:
        """Note the event if it may not follow the status that its aggregate had."""
        if passage is None:
            self.unknown.add(f"event {stored.event_type}")
        elif status not in passage.after:
            self._note(invariant, stored, f"{stored.event_type} of {what} that was {status.lower()}")

    def _fold_stock(self, stored: StoredEvent, event: inventory.InventoryEvent) -> None:
        """Fold what is held for the order. `Shelf` checks whether the SKU had so much."""
        match event:
            case inventory.InventoryReserved(reservation_id=id_, sku=sku, quantity=quantity):
                self.held[id_] = (sku, quantity)
            case inventory.InventoryShipped(reservation_id=id_, sku=sku, quantity=quantity):
                self.held.pop(id_, None)
                self.shipped[sku] += quantity
            case inventory.InventoryReleased(reservation_id=id_):
                self.held.pop(id_, None)
            case inventory.StockReturned(sku=sku, quantity=quantity):
                self.returned[sku] += quantity
            case inventory.StockReplenished() | inventory.StockAdjusted() | inventory.InventoryReservationFailed():
                pass
            case _:
                self.unknown.add(f"event {stored.event_type}")

    def _fold_saga(self, stored: StoredEvent, event: sagas.SagaEvent) -> None:
        if isinstance(event, sagas.SagaStarted):
            saga_id = saga_of(self.order_id, event.name, event.about)
            if saga_id in self.sagas or stored.stream != saga_id:
                self._note("I3", stored, f"{event.name} of order {self.order_id} was started twice")
                return
            table = self.rules.table(event.name, event.definition)
            if not table.steps:
                self.unknown.add(f"saga {event.name} in definition {event.definition}")
            self.sagas[saga_id] = SagaStory(
                saga_id=event.saga_id,
                name=event.name,
                definition=event.definition,
                table=table,
                first=stored.position,
                last=stored.position,
                progress=evolve(None, event, stored.recorded_at),
                epoch=self._epoch(stored) or 0,
            )
            return
        story = self.sagas.get(SagaId(stored.stream))
        if story is None:
            self._note("I2", stored, f"{stored.event_type} of a saga that never started")
            return
        if type(event) not in sagas.EVENTS:
            self.unknown.add(f"event {stored.event_type}")
        for wrong in story.take(event, stored, self.order_id):
            self._note("I6", stored, wrong)
        epoch = self._epoch(stored)
        if epoch is not None:
            if epoch < story.epoch:
                self._note("I8", stored, f"{stored.event_type} was written under lease {epoch}, after {story.epoch}")
            story.epoch = max(epoch, story.epoch)

    def _epoch(self, stored: StoredEvent) -> int | None:
        try:
            return _decode_lease(stored.metadata).epoch
        except msgspec.MsgspecError as error:
            self._note("I2", stored, f"the metadata of {stored.event_type} cannot be read: {error}")
            return None

    def _note(self, invariant: str, stored: StoredEvent, what: str) -> None:
        if not self.newer:
            self.findings.append(Finding(invariant, what, stored.stream, stored.position))


def of_a_newer_release(stored: StoredEvent) -> str:
    """Names an event in a version of its type that this release does not know yet."""
    return f"{stored.event_type} in version {stored.schema_version}, which is newer than this release"


class _Lease(msgspec.Struct):
    """The part of an event's metadata that names the lease under which it was written."""

    epoch: int | None = None


_decode_lease = msgspec.json.Decoder(_Lease).decode
