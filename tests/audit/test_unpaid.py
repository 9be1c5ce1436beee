"""verify counts the orders that were shipped and not paid, whatever keeps the money from coming."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.audit.case import Case
from core.audit.judge import judge
from core.audit.reconcile import reconcile
from core.audit.saga_story import SagaRules, SagaStory
from core.audit.unpaid import unpaid
from core.audit.verification import Report
from core.domain.message import saga_of
from core.domain.payment import PAYMENT, Payment
from core.domain.provider import Charge
from core.sagas import SAGAS
from core.sagas.progress import Progress, SagaStatus
from core.sagas.settle_order import SETTLE_ORDER
from tests.support.saga_facts import order, payment
from tests.support.samples import (
    NOW,
    ORDER_ID,
    authorized,
    capture_failed,
    captured,
    confirmed,
    delivered,
    refunded,
    shipped,
    voided,
)

RUNNING, COMPENSATING, COMPLETED, COMPENSATED, FAILED, RESOLVED = SagaStatus


def case(paid: Payment, status: SagaStatus | None = RUNNING, *events: Any, vouched: bool = False, **more: Any) -> Case:
    """A shipped order with this payment, and its settlement with this status."""
    found = Case(ORDER_ID, 0, SagaRules(SAGAS), order=order(confirmed, shipped, *events), payment=paid)
    if status is not None:
        progress = Progress(status=status, since=NOW, **more)
        name, definition = SETTLE_ORDER.name, SETTLE_ORDER.definition
        found.sagas[saga_of(ORDER_ID, name)] = SagaStory(
            saga_of(ORDER_ID, name), name, definition, SETTLE_ORDER, 1, 1, progress, vouched=["a"] * vouched
        )
    return found


HELD = payment(authorized)
UNPAID = payment(authorized, capture_failed)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (case(HELD, None), "its money has not been asked for yet"),
        (case(HELD), "settle_order is under way"),
        (case(HELD, RUNNING, delivered), "settle_order is under way"),
        (case(HELD, attempts=1, last_error="away"), "settle_order is under way, and 1 try has failed: away"),
        (case(HELD, attempts=21, last_error="away"), "settle_order is under way, and 21 tries have failed: away"),
        (case(UNPAID, FAILED, last_error="expired"), "settle_order has failed: expired"),
        (case(UNPAID, COMPLETED, vouched=True), "settle_order is completed, and a step of it was skipped"),
        (case(PAYMENT.initial, COMPLETED), "settle_order is completed"),
    ],
)
def test_an_order_that_was_shipped_and_not_paid_is_counted_with_what_keeps_the_money_from_coming(
    one: Case, why: str
) -> None:
    found = unpaid(one, None)
    assert found is not None
    assert (found.order_number, found.amount, found.currency) == ("ORD-0123456789", Decimal("2001.48"), "USD")
    assert found.why == why


def test_a_capture_that_only_the_providers_ledger_knows_is_named() -> None:
    taken = Charge("", "CAPTURED", Decimal("2001.48"), Decimal("2001.48"), Decimal(0))
    found = unpaid(case(UNPAID, FAILED, last_error="refused"), taken)
    assert found is not None
    assert found.why.endswith("refused; the provider's ledger has 2001.48 captured, so a retry records it")


@pytest.mark.parametrize(
    "one",
    [
        case(payment(authorized, captured), COMPLETED),
        case(payment(authorized, captured, refunded), COMPENSATED),
        case(UNPAID, RESOLVED),
        Case(ORDER_ID, 0, SagaRules(SAGAS), order=order(confirmed), payment=HELD),
        Case(ORDER_ID, 0, SagaRules(SAGAS)),
    ],
)
def test_an_order_that_is_paid_or_not_shipped_or_settled_elsewhere_is_not_counted(one: Case) -> None:
    assert unpaid(one, None) is None


def test_an_unpaid_shipment_violates_nothing_and_the_report_adds_its_amount_up() -> None:
    one = case(UNPAID, FAILED, last_error="expired")
    one.sagas[saga_of(ORDER_ID, SETTLE_ORDER.name)].open_items = ("2001.48 USD is shipped and not paid",)
    assert list(judge(one)) == []
    report = Report()
    for _ in range(1_002):
        owed = unpaid(one, None)
        assert owed is not None
        report.add_unpaid(owed)
    assert (report.unpaid, report.unpaid_amounts, report.violated) == (1_002, {"USD": 1_002 * Decimal("2001.48")}, 0)
    assert len(report.unpaid_orders) == 1_000


@pytest.mark.parametrize("paid", [HELD, payment(authorized, voided), UNPAID, PAYMENT.initial])
def test_an_authorisation_that_has_ended_at_the_provider_is_no_difference(paid: Payment) -> None:
    ended = Charge("", "EXPIRED", Decimal("2001.48"), Decimal(0), Decimal(0))
    assert reconcile(case(paid), ended) is None
    taken = Charge("", "CAPTURED", Decimal("2001.48"), Decimal("2001.48"), Decimal(0))
    assert reconcile(case(paid), taken) is not None
