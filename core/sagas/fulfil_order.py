"""fulfil_order: reserves the stock and the money of a new order and confirms it, or undoes all that and cancels it."""

from __future__ import annotations

from core.domain.order import OrderCreated, OrderShipped, Status
from core.domain.payment import NO_MONEY_HELD, PaymentStatus
from core.sagas.actions import authorize, cancel_order, confirm, nothing, release, reserve, void
from core.sagas.holdings import AUTHORISED, CONFIRMED, RESERVED, UNCANCELLED
from core.sagas.progress import SagaStatus
from core.sagas.saga import MINUTES, SECONDS, End, Saga, Step, TurnBack

FULFILLED = (Status.CONFIRMED, Status.SHIPPED, Status.DELIVERED)

# fmt: off
FULFIL_ORDER = Saga(
    name="fulfil_order", definition=1, starts_on=OrderCreated, before=OrderShipped, turn_back=TurnBack.UNTIL_IT_ENDS,
    steps=(
        #    step                 do         undo          holds        within
        Step("open_order",        nothing,   cancel_order, UNCANCELLED),
        Step("reserve_inventory", reserve,   release,      RESERVED,    30 * SECONDS),
        Step("authorize_payment", authorize, void,         AUTHORISED,   5 * MINUTES),
        Step("confirm_order",     confirm,   nothing,      CONFIRMED,   30 * SECONDS),
    ),
    ends=(
        #   the saga is             its order            its payment
        End(SagaStatus.COMPLETED,   FULFILLED,           (PaymentStatus.AUTHORIZED,), stock_held=True),
        End(SagaStatus.COMPENSATED, (Status.CANCELLED,), NO_MONEY_HELD,               stock_held=False),
    ),
)

TABLES = (FULFIL_ORDER,)
