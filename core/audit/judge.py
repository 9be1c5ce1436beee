"""Judge: what must hold of an order once its sagas have ended, and of a SKU at every version. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from core.audit.case import Case, Instance
from core.codec import StoredEvent, decode
from core.domain.inventory import (
    INVENTORY,
    InventoryEvent,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
    StockReplenished,
)
from core.domain.message import ReservationId, Sku, inventory_stream, payment_of, reservation_of
from core.domain.order import Order, Status
from core.domain.payment import Payment, PaymentStatus
from core.domain.provider import Charge
from core.ports.evidence import Finding, SagaSeen
from core.ports.snapshots import Snapshot
from core.projections.inventory_level import INVENTORY_LEVEL, InventoryLevel
from core.projections.projection import At
from core.sagas.actions import quantities
from core.sagas.saga import Move, Saga, SagaStatus, next_move
from core.services.snapshots import decode as decode_snapshot
from core.services.snapshots import schema_hash

Tables = Mapping[tuple[str, int], Saga]

LIVE = {"AUTHORISED", "CAPTURED"}
NOTHING_HELD = {"DECLINED", "TOMBSTONE", "VOIDED"}
LEDGER: Mapping[PaymentStatus, str] = {
    PaymentStatus.AUTHORIZED: "AUTHORISED",
    PaymentStatus.CAPTURED: "CAPTURED",
    PaymentStatus.VOIDED: "VOIDED",
    PaymentStatus.REFUNDED: "REFUNDED",
}
BY_CONFIRMATION = frozenset({Status.CONFIRMED, Status.SHIPPED, Status.DELIVERED})


# --- one order ----------------------------------------------------------------------------------------------
def wanted(case: Case) -> Mapping[str, int]:
    """The sagas that the order's events ask for, and the position of the event that does."""
    asked = {"fulfil_order": case.created} if case.created else {}
    if case.shipped:
        asked["settle_order"] = case.shipped
    fulfil = case.instances.get("fulfil_order")
    if case.cancelled and fulfil is not None and 0 < fulfil.over < case.cancelled:
        asked["unwind_order"] = case.cancelled
    return asked


def unstarted(case: Case, started_to: int) -> Iterable[Finding]:
    """Sagas that the runner has passed over, having read `started_to`."""
    for name, position in wanted(case).items():
        if name not in case.instances and position <= started_to:
            yield Finding("I3", f"{name} of order {case.order_id} was never started", case.order_id, position)
    for name, instance in case.instances.items():
        if name not in wanted(case):
            what = f"{name} of order {case.order_id} was started though nothing asked for it"
            yield Finding("I3", what, instance.saga_id, instance.first)


def under_way(case: Case) -> bool:
    """Whether a saga has still something to do for it, or has not begun."""
    return any(each.unfinished for each in case.instances.values()) or bool(set(wanted(case)) - set(case.instances))


def vouched_for(case: Case) -> bool:
    """Whether a person is, or has been, at it: then what is open is listed, and the rules are theirs."""
    failed = any(each.progress.status is SagaStatus.FAILED for each in case.instances.values())
    return failed or any(each.vouched for each in case.instances.values())


def judge(case: Case) -> Iterable[Finding]:
    """Of an order whose sagas have ended."""
    for instance in case.instances.values():
        if instance.progress.status is SagaStatus.FAILED and not instance.open_items and _something_open(case):
            what = f"{instance.name} of order {case.order_id} is FAILED and does not say what is open"
            yield Finding("I6", what, instance.saga_id, instance.last)
    if vouched_for(case) or case.unreadable:
        return
    if ends := _ends(case):
        yield Finding("I6", f"the order is {case.order.status} with {ends}", case.order_id, case.last)
    if money := _money(case.order, case.payment, refunded=_ended(case, "settle_order", SagaStatus.COMPENSATED)):
        yield Finding("I4", f"{money} of an order that is {case.order.status}", payment_of(case.order_id), case.last)
    holds = case.order.created is not None and case.order.status in {Status.CREATED, Status.CONFIRMED}
    due = quantities(case.order) if holds else {}
    held: dict[Sku, int] = {}
    for sku, quantity in case.held.values():
        held[sku] = held.get(sku, 0) + quantity
    for sku in sorted({*due, *held}):
        if due.get(sku, 0) != held.get(sku, 0):
            what = f"{held.get(sku, 0)} of {sku} are held for order {case.order_id}, and {due.get(sku, 0)} are due"
            yield Finding("I5", what, inventory_stream(sku), case.last)


def _ends(case: Case) -> str | None:
    """How the sagas ended, when that does not go with the order's status."""
    match case.order.status:
        case Status.CONFIRMED | Status.SHIPPED | Status.DELIVERED:
            fine = _ended(case, "fulfil_order", SagaStatus.COMPLETED)
        case Status.CANCELLED:
            fine = _ended(case, "fulfil_order", SagaStatus.COMPENSATED) or (
                _ended(case, "fulfil_order", SagaStatus.COMPLETED)
                and _ended(case, "unwind_order", SagaStatus.COMPLETED)
            )
        case _:
            fine = False
    return None if fine else ", ".join(f"{i.name} {i.progress.status}" for i in case.instances.values()) or "no saga"


def _ended(case: Case, name: str, status: SagaStatus) -> bool:
    return name in case.instances and case.instances[name].progress.status is status


def _something_open(case: Case) -> bool:
    return bool(case.held) or case.payment.status in {PaymentStatus.AUTHORIZED, PaymentStatus.CAPTURED}


def _money(order: Order, payment: Payment, *, refunded: bool) -> str | None:
    """What is wrong with an order's money, or None."""
    match order.status:
        case Status.CONFIRMED:
            due = {PaymentStatus.AUTHORIZED}
        case Status.SHIPPED | Status.DELIVERED:
            due = {PaymentStatus.REFUNDED if refunded else PaymentStatus.CAPTURED}
        case _:
            due = {PaymentStatus.ABSENT, PaymentStatus.FAILED, PaymentStatus.VOIDED}
    total = order.created.total_amount if order.created else None
    if payment.status not in due:
        return f"the payment is {payment.status}"
    if order.status in BY_CONFIRMATION and payment.amount != total:
        return f"{payment.amount} instead of {total} is the payment"
    return None


# --- the provider's own ledger ------------------------------------------------------------------------------
def reconcile(case: Case, charge: Charge | None) -> Finding | None:
    """Of an order whose sagas have ended: whether the provider says what our log says."""
    payment, state = case.payment, charge.state if charge else "nothing"
    due = LEDGER.get(payment.status)
    agrees = charge is None or state in NOTHING_HELD if due is None else charge is not None and state == due
    if agrees and charge is not None and due is not None:
        amount = payment.amount
        captured = amount if payment.status in {PaymentStatus.CAPTURED, PaymentStatus.REFUNDED} else 0
        refunded = amount if payment.status is PaymentStatus.REFUNDED else 0
        agrees = (charge.authorised, charge.captured, charge.refunded) == (amount, captured, refunded)
    if agrees:
        return None
    told = f"{state} {charge.authorised}, {charge.captured} captured, {charge.refunded} refunded" if charge else state
    what = f"the provider's ledger has {told} for order {case.order_id}, our log {payment.status} {payment.amount}"
    return Finding("I4", what, payment_of(case.order_id), case.last)


# --- one SKU ------------------------------------------------------------------------------------------------
class Shelf:
    """One SKU's stream, folded version by version; `level` is what a reader at position `seen_to` has of it."""

    def __init__(self, first: StoredEvent, seen_to: int, snapshot: Snapshot | None) -> None:
        self.stream = first.stream
        self._snapshot = snapshot if snapshot and snapshot.schema_hash == schema_hash(INVENTORY) else None
        self.level: InventoryLevel | None = None
        self.findings: list[Finding] = []
        self._seen_to = seen_to
        self._state = INVENTORY.initial
        self._held: dict[ReservationId, int] = {}
        self._received = self._shipped = 0

    def fold(self, stored: StoredEvent) -> None:
        try:
            event = decode(stored.event_type, stored.schema_version, stored.payload)
        except Exception as error:  # noqa: BLE001 - it is noted, and the rest is judged without it
            self._note("I2", stored, f"{stored.event_type} cannot be read: {error}")
            self._move(stored, None)
            return
        if not isinstance(event, InventoryEvent) or inventory_stream(event.sku) != stored.stream:
            self._note("I2", stored, f"{stored.event_type} lies in a SKU's stream that is not its own")
            return
        match event:
            case StockReplenished(quantity=quantity):
                self._received += quantity
            case InventoryReserved(reservation_id=id_, order_id=order_id, quantity=quantity, sku=sku):
                if id_ in self._held:
                    self._note("I5", stored, f"{sku} was reserved twice for order {order_id}")
                if id_ != reservation_of(order_id, sku):
                    self._note("I5", stored, f"a reservation of {sku} that is not order {order_id}'s")
                self._held[id_] = quantity
            case InventoryReleased(reservation_id=id_, order_id=order_id, quantity=quantity, sku=sku):
                if self._held.pop(id_, None) != quantity:
                    self._note("I5", stored, f"{quantity} of {sku} released for order {order_id}, which were not held")
            case InventoryShipped(reservation_id=id_, order_id=order_id, quantity=quantity, sku=sku):
                self._shipped += quantity
                if self._held.pop(id_, None) != quantity:
                    self._note("I5", stored, f"{quantity} of {sku} shipped for order {order_id}, which were not held")
            case _:
                pass
        self._state = INVENTORY.evolve(self._state, event)
        if (
            self._snapshot is not None
            and self._snapshot.version == stored.version
            and not self._bears_out(self._snapshot)
        ):
            self._note("I7", stored, f"the snapshot of {event.sku} is not what the log gives")
        if self._state.available < 0:
            self._note("I5", stored, f"{event.sku} is at {self._state.available}")
        self._move(stored, event)

    def _move(self, stored: StoredEvent, event: InventoryEvent | None) -> None:
        if stored.position <= self._seen_to:
            self.level = INVENTORY_LEVEL.apply(self.level, event, At(stored.version, stored.recorded_at))

    def _bears_out(self, snapshot: Snapshot) -> bool:
        try:
            return INVENTORY.snapshot is None or decode_snapshot(INVENTORY.snapshot, snapshot.state) == self._state
        except msgspec.MsgspecError:
            return True  # it is ignored and rewritten

    def close(self) -> Sequence[Finding]:
        held = sum(self._held.values())
        if self._received != self._state.available + held + self._shipped:
            what = f"received {self._received}, but {self._state.available} + {held} held + {self._shipped} shipped"
            self.findings.append(Finding("I5", what, self.stream))
        return self.findings

    def _note(self, invariant: str, stored: StoredEvent, what: str) -> None:
        self.findings.append(Finding(invariant, what, stored.stream, stored.position))


# --- rows of sagas ------------------------------------------------------------------------------------------
def row_of(instance: Instance, row: SagaSeen | None, case: Case, tables: Tables) -> Finding | None:
    """Whether a saga's row is what its stream says."""
    if row is None:
        return Finding("I7", f"{instance.name} has no row in sagas", instance.saga_id, instance.last)
    if row.epoch < instance.epoch:
        what = f"the row's epoch is {row.epoch}, its events were written under {instance.epoch}"
        return Finding("I8", what, instance.saga_id, instance.last)
    if instance.unfinished and not row.due:
        return Finding(
            "I7", f"{instance.name} is unfinished, and no runner will ever claim it", instance.saga_id, instance.last
        )
    progress = instance.progress
    seen = (row.name, row.definition, row.order_id, row.status)
    due = (instance.name, instance.definition, case.order_id, progress.status.value)
    table = tables.get((instance.name, instance.definition))
    if instance.unfinished and table is not None:  # of an ended one the row keeps no step
        move = next_move(table, progress)
        seen = (*seen, row.step, row.attempts)
        due = (*due, move.step.name if isinstance(move, Move) else "", progress.attempts)
    if seen == due:
        return None
    return Finding("I7", f"the row in sagas says {seen}, the stream {due}", instance.saga_id, instance.last)
