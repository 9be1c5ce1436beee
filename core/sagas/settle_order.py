"""settle_order: takes the units of a shipped order off the stock and captures its money."""

from __future__ import annotations

from core.domain.order import OrderShipped, Status
from core.domain.payment import PaymentStatus
from core.sagas.actions import capture, nothing, refund, ship_stock
from core.sagas.holdings import CAPTURED, OWED, RESERVED, UNPAID
from core.sagas.progress import SagaStatus
from core.sagas.saga import End, Saga, Step, TurnBack

GONE = (Status.SHIPPED, Status.DELIVERED)

# fmt: off
SETTLE_ORDER_1 = Saga(
    name="settle_order", definition=1, starts_on=OrderShipped, forward_only=True, turn_back=TurnBack.EVEN_COMPLETED,
    steps=(
        #    step               do          undo     holds     owes
        Step("capture_payment", capture,    refund,  CAPTURED, owes=UNPAID),
        Step("ship_inventory",  ship_stock, nothing, None,     owes=RESERVED),
    ),
    ends=(
        #   the saga is             its order  its payment
        End(SagaStatus.COMPLETED,   GONE,      (PaymentStatus.CAPTURED,), stock_held=False),
        End(SagaStatus.COMPENSATED, GONE,      (PaymentStatus.REFUNDED,), stock_held=False),
    ),
)

SETTLE_ORDER = Saga(  # in definition 1 the stock waited until the money was captured
    name="settle_order", definition=2, starts_on=OrderShipped, forward_only=True, turn_back=TurnBack.EVEN_COMPLETED,
    steps=(
        #    step               do          undo     holds     owes
        Step("ship_inventory",  ship_stock, nothing, None,     owes=RESERVED),
        Step("capture_payment", capture,    refund,  CAPTURED, owes=OWED),
    ),
    ends=SETTLE_ORDER_1.ends,
)

TABLES = (SETTLE_ORDER_1, SETTLE_ORDER)
