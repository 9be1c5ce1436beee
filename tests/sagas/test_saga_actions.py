"""The actions of the saga tables: which events and calls each decides on, given the facts of an order."""

from __future__ import annotations

from dataclasses import replace as changed
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from core.domain.inventory import (
    InventoryReleased,
    InventoryReservationFailed,
    InventoryReserved,
    InventoryShipped,
    Stock,
)
from core.domain.message import Sku, reservation_of
from core.domain.order import Item, OrderCancelled, OrderConfirmed
from core.domain.payment import (
    PAYMENT,
    Payment,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentEvent,
    PaymentFailed,
    PaymentRefunded,
    PaymentStatus,
    PaymentVoided,
)
from core.domain.provider import Approved, Declined, Refused
from core.sagas import actions
from core.sagas.actions import quantities
from core.sagas.saga import Call, Effect, Local
from tests.support.saga_facts import HELD, PAYMENT_ID, PLENTY, WANTED, facts, order, payment
from tests.support.samples import NOW, ORDER_ID, cancelled, confirmed, created

AUTHORIZED = PaymentAuthorized(
    payment_id=PAYMENT_ID, order_id=ORDER_ID, amount=Decimal("2001.48"), currency="USD", payment_method="card",
    authorization_code="a-1",
)  # fmt: skip
CAPTURED = PaymentCaptured(
    payment_id=PAYMENT_ID, order_id=ORDER_ID, amount=Decimal("2001.48"), currency="USD", transaction_id="t-1"
)
VOIDED = PaymentVoided(payment_id=PAYMENT_ID, order_id=ORDER_ID, reason="because")
REFUNDED = PaymentRefunded(
    payment_id=PAYMENT_ID, order_id=ORDER_ID, amount=Decimal("2001.48"), currency="USD", refund_id="r-1",
    reason="because",
)  # fmt: skip
LAPTOP, LAMP = WANTED


def test_an_orders_quantities_are_summed_by_sku_and_sorted() -> None:
    lines = [("B", 1), ("A", 2), ("B", 3)]
    items = tuple(Item(product_id="p", sku=Sku(sku), quantity=n, unit_price=Decimal(1)) for sku, n in lines)
    assert list(quantities(order(replace(created, items=items))).items()) == [("A", 2), ("B", 4)]


# --- the stock ----------------------------------------------------------------------------------------------
def test_the_reserve_action_reserves_every_sku_of_an_order_under_derived_ids() -> None:
    effect = actions.reserve.decide(facts())
    assert effect.stock == {
        sku: [InventoryReserved(sku=sku, reservation_id=reservation_of(ORDER_ID, sku), order_id=ORDER_ID, quantity=n)]
        for sku, n in WANTED.items()
    }
    assert (effect.refusal, effect.abandon) == (None, None)
    assert actions.reserve.decide(facts(stock=HELD)).stock == {sku: [] for sku in WANTED}  # again: already done


def test_the_reserve_action_reserves_nothing_and_names_the_sku_that_is_short() -> None:
    short = {LAPTOP: Stock(known=True, available=1), LAMP: PLENTY[LAMP]}
    effect = actions.reserve.decide(facts(stock=short))
    assert effect.stock == {
        LAPTOP: [
            InventoryReservationFailed(sku=LAPTOP, order_id=ORDER_ID, requested=2, available=1, reason="out of stock")
        ]
    }
    assert effect.refusal == "LAPTOP-001: out of stock"
    both = actions.reserve.decide(facts(stock={LAPTOP: Stock(), LAMP: Stock(known=True)}))
    assert both.refusal == "LAPTOP-001: unknown SKU; SKU-007: out of stock"
    assert list(both.stock) == [LAPTOP, LAMP]


@pytest.mark.parametrize(("action", "kind"), [("release", InventoryReleased), ("ship_stock", InventoryShipped)])
def test_the_release_and_ship_actions_change_only_the_orders_own_reservations(
    action: str, kind: type[InventoryReleased | InventoryShipped]
) -> None:
    local: Local = getattr(actions, action)
    effect = local.decide(facts(stock=HELD))
    moved = [event for events in effect.stock.values() for event in events if isinstance(event, kind)]
    assert [event.quantity for event in moved] == [2, 3]
    assert sum(len(events) for events in effect.stock.values()) == len(moved)
    assert local.decide(facts(stock=PLENTY)).stock == {LAPTOP: [], LAMP: []}
    assert local.reads == {"stock"}


# --- the order ----------------------------------------------------------------------------------------------
def test_the_confirm_and_cancel_actions_record_their_event_once_and_the_cancellation_has_the_reason() -> None:
    (event,) = actions.confirm.decide(facts()).order
    assert isinstance(event, OrderConfirmed)
    assert actions.confirm.decide(facts(order(confirmed))).order == []
    (event,) = actions.cancel_order.decide(facts(order(confirmed), reason="no stock")).order
    assert isinstance(event, OrderCancelled)
    assert event.reason == "no stock"
    assert actions.cancel_order.decide(facts(order(cancelled))).order == []


def test_no_action_goes_forward_for_a_cancelled_order() -> None:
    gone = facts(order(cancelled), stock=PLENTY)
    because = Effect(abandon=cancelled.reason)
    assert actions.reserve.decide(gone) == because
    assert actions.confirm.decide(gone) == because
    assert actions.authorize.before(gone) == because
    assert actions.authorize.before(facts()) is None
    silent = replace(gone.order, cancel_reason=None)
    assert actions.confirm.decide(facts(silent)).abandon == "the order was cancelled"
    for action in (actions.reserve, actions.confirm, actions.authorize):
        assert "order" in action.reads, "or a cancellation slips in between"


def test_every_local_action_guards_the_streams_that_it_writes() -> None:
    assert actions.cancel_order.reads == {"order"}
    for call in (actions.void, actions.capture, actions.refund, actions.authorize):
        assert "payment" in call.reads


# --- the payment --------------------------------------------------------------------------------------------
def test_the_authorise_action_records_an_authorisation_or_a_decline_once() -> None:
    assert actions.authorize.record(facts(), Approved("a-1")).payment == [AUTHORIZED]
    assert actions.authorize.record(facts(paid=payment(AUTHORIZED)), Approved("a-1")).payment == []
    declined, refused = Declined("no money"), Refused("never")
    failed = [
        PaymentFailed(payment_id=PAYMENT_ID, order_id=ORDER_ID, reason=answer.reason) for answer in (declined, refused)
    ]
    assert actions.authorize.record(facts(), declined) == Effect(payment=failed[:1], refusal="no money")
    assert actions.authorize.record(facts(), refused) == Effect(payment=failed[1:], abandon="never"), "it is voided"


def test_no_money_is_captured_or_refunded_without_an_authorisation() -> None:
    for call in (actions.capture, actions.refund):
        assert call.before(facts()) == Effect(), "whoever resolved the fulfilment vouched for the money"


CALLS = [
    (actions.void, payment(AUTHORIZED), "v-1", VOIDED, PaymentStatus.VOIDED),
    (actions.capture, payment(AUTHORIZED), "t-1", CAPTURED, PaymentStatus.CAPTURED),
    (actions.refund, payment(AUTHORIZED, CAPTURED), "r-1", REFUNDED, PaymentStatus.REFUNDED),
]


@pytest.mark.parametrize(("call", "before", "reference", "event", "status"), CALLS, ids=lambda x: str(x)[:20])
def test_a_payment_action_records_an_answer_once_and_a_refusal_not_at_all(
    call: Call, before: Payment, reference: str, event: PaymentEvent, status: PaymentStatus
) -> None:
    case = facts(paid=before)
    assert call.before(case) is None
    assert call.record(case, Approved(reference)) == Effect(payment=[event])
    for answer in (Refused("never"), Declined("no")):
        effect = call.record(case, answer)
        assert effect.refusal == answer.reason
        assert [type(each) for each in effect.payment] == [PaymentCaptureFailed] * (call is actions.capture)
    done = facts(paid=PAYMENT.evolve(before, event))
    assert done.payment.status is status
    assert call.before(done) == Effect(), "what the log says is done is not called for"
    assert call.record(done, Approved(reference)) == Effect(payment=[])


UNPAID = PaymentCaptureFailed(
    payment_id=PAYMENT_ID, order_id=ORDER_ID, amount=Decimal("2001.48"), currency="USD", reason="never"
)
LAPSED = replace(AUTHORIZED, expires_at=NOW)
KEPT = replace(AUTHORIZED, expires_at=NOW + timedelta(seconds=1))
RENEWED = (f"{PAYMENT_ID}:authorise:2", f"{PAYMENT_ID}:capture:2")


@pytest.mark.parametrize("paid", [payment(LAPSED), payment(AUTHORIZED, UNPAID), payment(LAPSED, UNPAID)])
def test_a_refused_capture_of_a_lapsed_or_refused_authorisation_is_followed_by_a_new_authorisation_once(
    paid: Payment,
) -> None:
    assert actions.capture.record(facts(paid=paid), Refused("expired")) == Effect(then=actions.renew)
    again = actions.capture.record(changed(facts(paid=paid), keys=RENEWED), Refused("expired"))
    assert (again.refusal, again.then) == ("expired", None)


@pytest.mark.parametrize("paid", [payment(AUTHORIZED), payment(KEPT)])
def test_a_refused_capture_of_a_living_authorisation_is_recorded_and_not_authorised_anew(paid: Payment) -> None:
    assert actions.capture.record(facts(paid=paid), Refused("never")) == Effect(payment=[UNPAID], refusal="never")


@pytest.mark.parametrize("paid", [payment(LAPSED), payment(AUTHORIZED, UNPAID)])
def test_a_new_authorisation_is_recorded_and_captured_or_its_refusal_is_recorded_with_its_number(
    paid: Payment,
) -> None:
    case = facts(paid=paid)
    approved = actions.renew.record(case, Approved("a-2", NOW))
    assert approved == Effect(
        payment=[replace(AUTHORIZED, authorization_code="a-2", expires_at=NOW)], then=actions.capture
    )
    for answer in (Declined("no money"), Refused("no money")):
        refused = actions.renew.record(case, answer)
        reason = "a new authorisation was refused: no money"
        assert refused == Effect(payment=[replace(UNPAID, reason=reason, authorization=2)], refusal=reason)


def test_a_capture_that_succeeds_late_is_recorded_although_an_earlier_answer_refused_it() -> None:
    assert actions.capture.before(facts(paid=payment(AUTHORIZED, UNPAID))) is None
    assert actions.capture.record(facts(paid=payment(AUTHORIZED, UNPAID)), Approved("t-1")).payment == [CAPTURED]


def test_a_void_without_an_authorisation_calls_the_provider_and_records_nothing() -> None:
    assert actions.void.before(facts()) is None  # the provider is called all the same: it may know of one
    assert actions.void.record(facts(), Approved("v-1")) == Effect(payment=[])
