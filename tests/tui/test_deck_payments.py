"""The deck shows where the money of an order is beside where its goods are, and says so before goods change hands."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from core.domain.payment import PASSAGES, PaymentStatus
from core.filters.order_language import parse
from tests.support.deck_harness import opened
from tests.support.fake_desk import START
from tests.support.fake_gateway import FakeGateway
from tests.support.listed import Stepped, absorb, frame_of, listed
from tui.dialogs.transitions import question
from tui.viewmodels.detail import DetailModel
from tui.viewmodels.fold import fold
from tui.viewmodels.orders import OrdersModel
from tui.viewmodels.payments import (
    PAYMENT_EVENTS,
    PAYMENT_STATUSES,
    end_of_authorization,
    how_much,
    money_warning,
    payment_cell,
    payment_in_list,
)
from tui.viewmodels.statuses import CANCEL, DELIVER, SHIP, after_event, legal
from tui.wire import WireEvent, WireOrder

TOTAL = "1,999.98"


def sold(gateway: FakeGateway, n: int = 1) -> str:
    """An order that is shipped and paid."""
    order_id = gateway.place(n, quantity=2)
    gateway.fulfil(order_id)
    gateway.ship(order_id)
    return order_id


def test_the_deck_knows_every_status_and_every_event_of_a_payment() -> None:
    assert set(PAYMENT_STATUSES) == set(PaymentStatus), "give it a word and a tone in tui/viewmodels/payments.py"
    assert set(PAYMENT_EVENTS.values()) == set(PASSAGES)
    assert all(cell_len(payment_cell(status).text) <= 11 for status in PAYMENT_STATUSES), "the column is 11 cells wide"
    assert payment_cell("LENT\x1b[2J").text == "? LENT·[2J"


@pytest.mark.parametrize(
    ("events", "status", "amount", "warning"),
    [
        ([], "CAPTURED", "", ""),
        (["5.00"], "PARTLY_REFUNDED", f"5.00 of {TOTAL} USD", f"money back: 5.00 of {TOTAL} USD is refunded"),
        (["5.00", "4.50"], "PARTLY_REFUNDED", f"9.50 of {TOTAL} USD", f"money back: 9.50 of {TOTAL} USD is refunded"),
        (["1999.98"], "REFUNDED", f"{TOTAL} of {TOTAL} USD", f"{TOTAL} of {TOTAL} USD is refunded"),
        (["1999.00", "0.98"], "REFUNDED", f"{TOTAL} of {TOTAL} USD", f"{TOTAL} of {TOTAL} USD is refunded"),
    ],
)
def test_refunds_are_added_up_and_told_before_the_order_is_delivered(
    events: list[str], status: str, amount: str, warning: str
) -> None:
    gateway = FakeGateway()
    order_id = sold(gateway)
    for each in events:
        gateway.refund(order_id, each)
    order = gateway.views[order_id]
    assert (order.status, order.payment_status, how_much(order)) == ("SHIPPED", status, amount)
    assert DELIVER in legal(order.status)
    asked = " ".join(question(order, DELIVER, gateway.time).lines)
    assert warning in asked
    assert bool(money_warning(order)) == bool(events)
    assert "refunded" not in " ".join(question(order, CANCEL, gateway.time).lines)


def test_an_order_that_is_not_paid_is_told_before_it_is_shipped_or_delivered() -> None:
    gateway = FakeGateway()
    order_id = gateway.place(1, quantity=2)
    gateway.fulfil(order_id)
    assert money_warning(gateway.views[order_id]) == ""
    gateway.record("order", order_id, "OrderShipped", {"carrier": "UPS", "tracking_number": "1Z9"})
    gateway.pay(order_id, "PaymentCaptureFailed", "1999.98", reason="the card was closed")
    order = gateway.views[order_id]
    assert (order.payment_status, how_much(order)) == ("UNPAID", f"{TOTAL} USD")
    assert (
        f"This order is not paid: the provider refuses to pay {TOTAL} USD."
        in question(order, DELIVER, gateway.time).lines
    )
    assert "is voided." in " ".join(question(replace(order, payment_status="VOIDED"), SHIP, gateway.time).lines)


@pytest.mark.parametrize(
    ("hours", "status", "told"),
    [
        (25, "CONFIRMED", ""),
        (23.5, "CONFIRMED", "ends in 23h"),
        (0.75, "CREATED", "ends in 45m"),
        (-3, "CONFIRMED", "ended 3h ago"),
        (-80, "CONFIRMED", "ended 3d ago"),
        (1, "SHIPPED", ""),
        (1, "CANCELLED", ""),
    ],
)
def test_the_deck_tells_when_an_authorisation_ends_and_asks_before_a_lapsed_order_is_shipped(
    hours: float, status: str, told: str
) -> None:
    gateway = FakeGateway()
    order_id = gateway.place(1, quantity=2)
    gateway.fulfil(order_id)
    ends_at = gateway.time + timedelta(hours=hours)
    order = replace(gateway.views[order_id], status=status, payment_expires_at=ends_at)
    assert end_of_authorization(order, gateway.time) == told
    assert payment_in_list(order, gateway.time).text == (told.removesuffix(" ago") or "AUTHORIZED")
    asked = " ".join(question(order, SHIP, gateway.time).lines)
    assert ("the amount is authorised anew first" in asked) == told.startswith("ended")
    for naive in (None, ends_at.replace(tzinfo=None)):
        assert end_of_authorization(replace(order, payment_expires_at=naive), gateway.time) == ""


def test_the_end_of_an_authorisation_comes_with_the_event_of_the_payment() -> None:
    gateway = FakeGateway()
    order_id = gateway.place(1, quantity=2)
    ends_at = gateway.time + timedelta(hours=2)
    about = {"payment_method": "card", "authorization_code": "a-1", "expires_at": ends_at.isoformat()}
    gateway.pay(order_id, "PaymentAuthorized", "1999.98", **about)
    assert gateway.views[order_id].payment_expires_at == ends_at


def test_the_state_of_an_order_says_how_much_of_it_was_refunded_so_far() -> None:
    gateway = FakeGateway()
    order_id = sold(gateway)
    gateway.refund(order_id, "5.00", "one was broken")
    gateway.refund(order_id, "4.50", "late")
    gateway.pay(order_id, "PaymentRefundFailed", "1.00", refund_id="re-9", reason="card closed")
    states = fold(gateway._wire_event(event) for event in gateway.log)
    payments = [state.lines.get("payment") for state in states[-4:]]
    assert payments == [
        f"captured {TOTAL} USD",
        f"refunded 5.00 of {TOTAL} USD: one was broken",
        f"refunded 9.50 of {TOTAL} USD: late",
        f"refunded 9.50 of {TOTAL} USD: late",
    ]
    assert states[-1].lines["refund"] == "refused 1.00 USD: card closed"
    assert states[-1].lines["status"] == "SHIPPED"


@given(st.permutations(range(4)))
async def test_the_list_and_the_order_follow_the_payment_however_often_its_events_come(order: list[int]) -> None:
    gateway = FakeGateway()
    order_id = sold(gateway)
    model, detail = await listed(gateway), DetailModel(gateway, order_id)
    await detail.load()
    for amount in ("1.00", "2.00", "3.00"):
        gateway.refund(order_id, amount)
    news = [gateway._wire_event(event) for event in gateway.log]
    absorb(model, gateway, 0)
    model.absorb([frame_of(gateway.log[-1 - n]) for n in order])
    detail.take(news)
    held = model.window.find(order_id)
    assert held is not None
    assert (held.payment_status, held.refunded_amount, held.payment_version) == ("PARTLY_REFUNDED", Decimal(6), 5)
    assert held == detail.order == gateway.views[order_id]


async def test_a_page_whose_payments_are_behind_the_feed_shows_what_the_feed_has_brought() -> None:
    gateway = FakeGateway()
    order_id = sold(gateway)
    behind = dict(gateway.views)
    gateway.refund(order_id, "1999.98")
    model = OrdersModel(gateway, Stepped())
    model.view.resize(5)
    absorb(model, gateway, 0)
    gateway.views = behind
    await model.load()
    model.put(behind[order_id])
    held = model.window.find(order_id)
    assert held is not None
    assert held.payment_status == "REFUNDED"


def test_a_filter_for_payments_judges_an_order_as_the_server_does() -> None:
    gateway = FakeGateway()
    order = gateway.views[sold(gateway)]
    assert parse("payment:captured status:shipped", START).takes(order)
    assert not parse("payment:refunded", START).takes(order)
    assert parse("payment:part", START).params() == {"payment": "PARTLY_REFUNDED"}


AMOUNTS = st.sampled_from(
    ["5.00", 5, -1, "NaN", "sNaN", "Infinity", "1E+999999999", "", None, [], {}, True, "9" * 5_000]
)


@given(st.sampled_from(sorted(PAYMENT_EVENTS)), AMOUNTS, AMOUNTS)
def test_no_event_of_a_payment_stops_the_deck(event_type: str, amount: object, reason: object) -> None:
    gateway = FakeGateway()
    order = gateway.views[sold(gateway)]
    payload = json.dumps({"payment_id": order.order_id, "order_id": order.order_id, "amount": amount, "reason": reason,
                          "currency": "USD", "refund_id": "re-1", "transaction_id": "tx"}).encode()  # fmt: skip
    event = WireEvent(event_type, 99, "payment-1", "payment", gateway.time, 99, payload=msgspec.Raw(payload))
    after = after_event(order, event)
    assert after.payment_version == 99
    assert after.status == order.status
    how_much(after)
    money_warning(after)
    fold([event])


def test_an_answer_of_a_release_without_payments_is_shown() -> None:
    gateway = FakeGateway()
    fields = msgspec.to_builtins(gateway.views[gateway.place(1)])
    old = {name: value for name, value in fields.items() if "payment" not in name and "ed_amount" not in name}
    assert payment_cell(msgspec.convert(old, WireOrder, strict=False).payment_status).text == "–"


async def test_the_screens_show_the_payment_beside_the_status_also_on_a_small_terminal() -> None:
    gateway = FakeGateway()
    order_id = sold(gateway)
    async with opened(gateway, size=(80, 24)) as deck:
        await deck.shows("▶ SHIPPED   CAPTURED")
        gateway.refund(order_id, "5.00")
        await deck.shows("▶ SHIPPED   PART REFUND customer-001")
        await deck.press("enter")
        await deck.shows(f"▶ SHIPPED · PART REFUND 5.00 of {TOTAL} USD")
        gateway.refund(order_id, "1994.98")
        await deck.shows(f"▶ SHIPPED · REFUNDED {TOTAL} of {TOTAL} USD")
        await deck.press("a", "d")
        await deck.shows(f"The customer got money back: {TOTAL} of {TOTAL} USD is refunded.")
        await deck.press("y")
        await deck.shows(f"✔ DELIVERED · REFUNDED {TOTAL} of {TOTAL} USD")
