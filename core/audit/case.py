"""Case: one order's whole story, folded event by event as the log has it; what cannot have happened is noted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from core.codec import StoredEvent, decode
from core.domain import inventory, order, payment
from core.domain import saga as sagas
from core.domain.message import Event, OrderId, ReservationId, SagaId, Sku, payment_of, saga_of
from core.domain.order import ORDER, Order, Status
from core.domain.payment import PAYMENT, Payment, PaymentStatus
from core.ports.evidence import Finding
from core.projections.order_view import ORDER_VIEW, OrderView
from core.projections.projection import At
from core.sagas.saga import Progress, SagaStatus, StepStatus, evolve

ORDER_AFTER: Mapping[type[Event], frozenset[Status]] = {
    order.OrderCreated: frozenset({Status.ABSENT}),
    order.OrderConfirmed: frozenset({Status.CREATED}),
    order.OrderCancelled: frozenset({Status.CREATED, Status.CONFIRMED}),
    order.OrderShipped: frozenset({Status.CONFIRMED}),
    order.OrderDelivered: frozenset({Status.SHIPPED}),
}
PAYMENT_AFTER: Mapping[type[Event], frozenset[PaymentStatus]] = {
    payment.PaymentAuthorized: frozenset({PaymentStatus.ABSENT}),
    payment.PaymentFailed: frozenset({PaymentStatus.ABSENT}),
    payment.PaymentCaptured: frozenset({PaymentStatus.AUTHORIZED}),
    payment.PaymentVoided: frozenset({PaymentStatus.AUTHORIZED}),
    payment.PaymentRefunded: frozenset({PaymentStatus.CAPTURED}),
}


class _Lease(msgspec.Struct):
    """Of an event's metadata, the epoch of the lease it was written under."""

    epoch: int | None = None


_lease = msgspec.json.Decoder(_Lease).decode


@dataclass
class Instance:
    """One saga of the order. Positions are of its first event, and of its completion or resolution; 0: none."""

    saga_id: SagaId
    name: str
    definition: int
    first: int
    last: int
    progress: Progress
    over: int = 0
    epoch: int = 0
    open_items: tuple[str, ...] = ()
    vouched: list[str] = field(default_factory=list[str])

    @property
    def unfinished(self) -> bool:
        return self.progress.status in {SagaStatus.RUNNING, SagaStatus.COMPENSATING}


@dataclass
class Case:
    """`view` is the order as a reader at position `seen_to` has it. Positions are of its own events; 0: none."""

    order_id: OrderId
    seen_to: int
    order: Order = ORDER.initial
    payment: Payment = PAYMENT.initial
    view: OrderView | None = None
    held: dict[ReservationId, tuple[Sku, int]] = field(default_factory=dict[ReservationId, tuple[Sku, int]])
    instances: dict[str, Instance] = field(default_factory=dict[str, Instance])
    created: int = 0
    shipped: int = 0
    cancelled: int = 0
    last: int = 0
    unreadable: bool = False
    findings: list[Finding] = field(default_factory=list[Finding])

    def fold(self, story: Sequence[StoredEvent]) -> Case:
        for stored in story:
            self.last = stored.position
            try:
                event = decode(stored.event_type, stored.schema_version, stored.payload)
            except Exception as error:  # noqa: BLE001 - whatever it is, this order cannot be judged
                self.unreadable = True
                self._note("I2", stored, f"{stored.event_type} cannot be read: {error}")
                if stored.stream == self.order_id:
                    self._see(stored, None)
                continue
            match event:
                case order.OrderEvent():
                    self._order(stored, event)
                case payment.PaymentEvent():
                    self._payment(stored, event)
                case inventory.InventoryEvent():
                    self._stock(event)
                case sagas.SagaEvent():
                    self._saga(stored, event)
                case _:
                    pass
        return self

    def _order(self, stored: StoredEvent, event: order.OrderEvent) -> None:
        if stored.stream != self.order_id or event.order_id != self.order_id:
            self._note("I2", stored, f"{stored.event_type} of order {event.order_id} lies with order {self.order_id}")
            return
        if self.order.status not in ORDER_AFTER.get(type(event), (self.order.status,)):
            self._note("I6", stored, f"{stored.event_type} of an order that was {self.order.status.lower()}")
        self.order = ORDER.evolve(self.order, event)
        match event:
            case order.OrderCreated():
                self.created = stored.position
            case order.OrderShipped():
                self.shipped = stored.position
            case order.OrderCancelled():
                self.cancelled = stored.position
            case _:
                pass
        self._see(stored, event)

    def _see(self, stored: StoredEvent, event: order.OrderEvent | None) -> None:
        if stored.position <= self.seen_to:
            self.view = ORDER_VIEW.apply(self.view, event, At(stored.version, stored.recorded_at))

    def _payment(self, stored: StoredEvent, event: payment.PaymentEvent) -> None:
        if stored.stream != payment_of(self.order_id) or event.order_id != self.order_id:
            self._note("I2", stored, f"{stored.event_type} of order {event.order_id} lies with order {self.order_id}")
            return
        if self.payment.status not in PAYMENT_AFTER[type(event)]:
            self._note("I4", stored, f"{stored.event_type} of a payment that was {self.payment.status.lower()}")
        self.payment = PAYMENT.evolve(self.payment, event)

    def _stock(self, event: inventory.InventoryEvent) -> None:
        """Whether the SKU could give it is the SKU's own story."""
        match event:
            case inventory.InventoryReserved(reservation_id=id_, sku=sku, quantity=quantity):
                self.held[id_] = (sku, quantity)
            case inventory.InventoryReleased(reservation_id=id_) | inventory.InventoryShipped(reservation_id=id_):
                self.held.pop(id_, None)
            case _:
                pass

    def _saga(self, stored: StoredEvent, event: sagas.SagaEvent) -> None:
        if isinstance(event, sagas.SagaStarted):
            if event.name in self.instances or stored.stream != saga_of(self.order_id, event.name):
                self._note("I3", stored, f"{event.name} of order {self.order_id} was started twice")
                return
            self.instances[event.name] = Instance(
                saga_id=event.saga_id,
                name=event.name,
                definition=event.definition,
                first=stored.position,
                last=stored.position,
                progress=evolve(None, event, stored.recorded_at),
                epoch=_lease(stored.metadata).epoch or 0,
            )
            return
        instance = next((each for each in self.instances.values() if each.saga_id == stored.stream), None)
        if instance is None:
            self._note("I2", stored, f"{stored.event_type} of a saga that never started")
            return
        self._step(instance, stored, event)
        instance.last = stored.position
        instance.progress = evolve(instance.progress, event, stored.recorded_at)
        epoch = _lease(stored.metadata).epoch
        if epoch is not None:
            if epoch < instance.epoch:
                self._note("I8", stored, f"{stored.event_type} was written under lease {epoch}, after {instance.epoch}")
            instance.epoch = max(epoch, instance.epoch)

    def _step(self, instance: Instance, stored: StoredEvent, event: sagas.SagaEvent) -> None:
        name, status = instance.name, instance.progress.status
        ended = status in {SagaStatus.COMPENSATED, SagaStatus.RESOLVED, SagaStatus.COMPLETED}
        refunding = isinstance(event, sagas.SagaCompensationRequested) and name == "settle_order"
        if ended and not (refunding and status is SagaStatus.COMPLETED):
            self._note("I6", stored, f"{stored.event_type} of {name}, which was {status.lower()}")
        match event:
            case sagas.SagaStepCompleted(step=step) | sagas.SagaStepStarted(step=step, direction="forward"):
                if instance.progress.of(step) is StepStatus.COMPENSATED:
                    self._note("I6", stored, f"{step} of {name} ran again after it was compensated")
            case sagas.SagaCompleted():
                instance.over = stored.position
            case sagas.SagaFailed(open_items=items):
                instance.open_items = items
            case sagas.SagaStepSkipped():
                instance.vouched.append(f"{name} of order {self.order_id}: {event.step} skipped by {_who(event)}")
            case sagas.SagaResolved():
                instance.over = stored.position
                instance.vouched.append(f"{name} of order {self.order_id} resolved by {_who(event)}")
            case _:
                pass

    def _note(self, invariant: str, stored: StoredEvent, what: str) -> None:
        self.findings.append(Finding(invariant, what, stored.stream, stored.position))


def _who(event: sagas.OperatorEvent) -> str:
    return f"{event.by}: {event.reason}"
