"""The state of an order with its money, stock and sagas at any of its events: a pure fold over events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import msgspec

from core.domain.payment import PAYMENT, Payment
from core.printable import clean
from core.terminal_text import money
from tui.viewmodels.payments import PAYMENT_EVENTS, payment_after, refund_words
from tui.viewmodels.statuses import SHOWN, STATUS_AFTER, after_event, order_from
from tui.viewmodels.text import plain
from tui.wire import WireEvent, WireOrder, payload_of

Lines = Mapping[str, str]  # label -> what to show, in the order in which the labels first appeared
MOST_LABELS = 300  # lines of one state; an order has at most 200 SKUs, and few sagas that are not refunds


class TimelineState(NamedTuple):
    """`sagas` holds the label of each saga by its id, since only the event that started a saga carries its name.

    `payment` adds up what was refunded, since each event of a refund carries only its own amount. `order` is the order
    as the list shows it, as it was then; None until it was created.
    """

    lines: Lines = MappingProxyType({})
    sagas: Mapping[str, str] = MappingProxyType({})
    payment: Payment = PAYMENT.initial
    order: WireOrder | None = None


class Change(NamedTuple):
    """One line of the state: its value now, and the one before the event if the event changed it."""

    label: str
    now: str
    before: str | None


def evolve(state: TimelineState, event: WireEvent) -> TimelineState:
    """The state after one more event; an event of a type unknown here changes nothing."""
    payload = payload_of(event)
    new, sagas, payment = dict[str, str](), state.sagas, state.payment
    if event.event_type in STATUS_AFTER:
        new["status"] = STATUS_AFTER[event.event_type]
    if (change := _CHANGES.get(event.event_type)) is not None:
        new.update(change(payload))
    if event.event_type in PAYMENT_EVENTS:
        payment = payment_after(payment, event)
    if event.event_type == "PaymentRefunded" and payment is not state.payment:
        new["payment"] = refund_words(payment, plain(payload["reason"]))
        if "refund" in state.lines:
            new["refund"] = f"made {_amount(payload, 'amount')}"
    if event.aggregate_type == "saga":
        if payload.get("name") and event.aggregate_id not in sagas and len(sagas) < MOST_LABELS:
            sagas = {**sagas, event.aggregate_id: _saga_label(plain(payload["name"]), sagas)}
        new[sagas.get(event.aggregate_id, f"saga {event.aggregate_id[-4:]}")] = saga_words(event.event_type, payload)
    return TimelineState(_with(state.lines, new), sagas, payment, order_after(state.order, event))


def _saga_label(name: str, sagas: Mapping[str, str]) -> str:
    """The saga's name; the second saga of that name is `refund_order 2`."""
    same = sum(1 for label in sagas.values() if label == name or label.startswith(f"{name} "))
    return f"{name} {same + 1}" if same else name


def _with(lines: Lines, new: Lines) -> Lines:
    """The lines with the new ones among them; a label beyond MOST_LABELS is left out."""
    if not new:
        return lines
    room = MOST_LABELS - len(lines)
    return {**lines, **{label: text for label, text in new.items() if label in lines or room > 0}}


def order_after(order: WireOrder | None, event: WireEvent) -> WireOrder | None:
    """The order as it is after one more event; it is there from its creation on, if that can be read."""
    if order is None:
        return order_from(event) if event.event_type == "OrderCreated" else None
    after = after_event(order, event) if event.event_type in SHOWN else order
    if event.aggregate_type == "order" and event.version > after.version:  # such as a refund that was asked for
        after = msgspec.structs.replace(after, version=event.version, updated_at=event.timestamp)
    return after


def fold(events: Iterable[WireEvent]) -> list[TimelineState]:
    """The state after each event."""
    states: list[TimelineState] = []
    state = TimelineState()
    for event in events:
        state = evolve(state, event)
        states.append(state)
    return states


def changes(before: TimelineState, now: TimelineState) -> list[Change]:
    return [
        Change(label, value, before.lines.get(label, "–") if before.lines.get(label) != value else None)
        for label, value in now.lines.items()
    ]


def _created(p: Mapping[str, Any]) -> Lines:
    items: list[Any] = p["items"] if isinstance(p.get("items"), list) else []
    lines = "  ".join(f"{plain(_of(i, 'sku'))}×{plain(_of(i, 'quantity'))}" for i in items)
    return {
        "number": plain(p.get("order_number")),
        "customer": plain(p.get("customer_id")),
        "total": _amount(p, "total_amount"),
        "lines": f"{len(items)}   {lines}",
        "pays by": _method(p.get("payment_method")),
    }


def _method(method: Any) -> str:
    """What people call it, with what the provider knows it as; from a service of before, that alone."""
    if not isinstance(method, dict):
        return plain(method)
    label, type_ = _of(method, "label"), plain(_of(method, "type"))
    return f"{plain(label)} ({type_})" if label else type_


def _of(value: Any, name: str) -> Any:
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None


def _stock(word: str) -> Callable[[Mapping[str, Any]], Lines]:
    return lambda p: {f"stock {plain(p.get('sku'))}": f"{plain(p.get('quantity'))} {word}"}


def _payment(word: str) -> Callable[[Mapping[str, Any]], Lines]:
    def change(p: Mapping[str, Any]) -> Lines:
        amount = f" {_amount(p, 'amount')}" if "amount" in p else ""
        reason = f": {plain(p['reason'])}" if p.get("reason") else ""
        return {"payment": f"{word}{amount}{reason}"}

    return change


def _amount(p: Mapping[str, Any], name: str) -> str:
    try:
        return money(p.get(name) or 0, str(p.get("currency") or ""))
    except (ArithmeticError, ValueError):
        return plain(p.get(name))


_CHANGES: dict[str, Callable[[Mapping[str, Any]], Lines]] = {
    "OrderCreated": _created,
    "OrderCancelled": lambda p: {"cancelled": plain(p.get("reason"))},
    "OrderShipped": lambda p: {"shipment": f"{plain(p.get('carrier'))} {plain(p.get('tracking_number'))}"},
    "InventoryReserved": _stock("reserved"),
    "InventoryReleased": _stock("released"),
    "StockReturned": _stock("taken back"),
    "InventoryShipped": _stock("shipped"),
    "InventoryReservationFailed": lambda p: {
        f"stock {plain(p.get('sku'))}": f"short: {plain(p.get('requested'))} wanted, {plain(p.get('available'))} there"
    },
    "PaymentAuthorized": _payment("authorised"),
    "PaymentFailed": _payment("failed"),
    "PaymentCaptured": _payment("captured"),
    "PaymentCaptureFailed": _payment("not captured"),
    "PaymentVoided": _payment("voided"),
    "PaymentRefunded": _payment("refunded"),
    "RefundRequested": lambda p: {"refund": f"asked for {_amount(p, 'amount')}: {plain(p.get('reason'))}"},
    "PaymentRefundFailed": lambda p: {"refund": f"refused {_amount(p, 'amount')}: {plain(p.get('reason'))}"},
}

_SAGA_WORDS = {
    "SagaStarted": "running",
    "SagaStepStarted": "running {step}",
    "SagaStepCompleted": "{step} done",
    "SagaStepFailed": "{step} failed: {error}",
    "SagaStepSkipped": "{step} skipped",
    "SagaCompensationStarted": "undoing: {reason}",
    "SagaCompensationRequested": "undo asked for: {reason}",
    "SagaStepCompensated": "{step} undone",
    "SagaCompensationFailed": "undoing {step} failed: {error}",
    "SagaRetried": "tried again: {reason}",
    "SagaCompleted": "COMPLETED",
    "SagaCompensated": "COMPENSATED",
    "SagaFailed": "FAILED: {reason}",
    "SagaResolved": "resolved by hand: {reason}",
}


class _Missing(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "–"


def saga_words(event_type: str, payload: Mapping[str, Any]) -> str:
    """What a saga's event says, in words."""
    words = _SAGA_WORDS.get(event_type, clean(event_type))
    return words.format_map(_Missing({name: plain(value) for name, value in payload.items()}))
