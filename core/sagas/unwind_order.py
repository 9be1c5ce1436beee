"""unwind_order: releases the money and the stock of an order that is cancelled after its fulfilment has ended."""

from __future__ import annotations

from core.domain.order import OrderCancelled, Status
from core.domain.payment import NO_MONEY_HELD
from core.sagas.actions import nothing, release, void
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.holdings import AUTHORISED, RESERVED
from core.sagas.progress import SagaStatus
from core.sagas.saga import End, Saga, Step

# fmt: off
UNWIND_ORDER_1 = Saga(
    name="unwind_order", definition=1, starts_on=OrderCancelled, after=FULFIL_ORDER.name, forward_only=True,
    steps=(
        #    step                 do       undo     holds  owes
        Step("void_payment",      void,    nothing, None,  owes=AUTHORISED),
        Step("release_inventory", release, nothing, None,  owes=RESERVED),
    ),
    ends=(End(SagaStatus.COMPLETED, (Status.CANCELLED,), NO_MONEY_HELD, stock_held=False),),
)

UNWIND_ORDER = Saga(  # definition 1 tried for ever to void a payment, so no operator could act
    name="unwind_order", definition=2, starts_on=OrderCancelled, after=FULFIL_ORDER.name, undoes=True,
    steps=UNWIND_ORDER_1.steps, ends=UNWIND_ORDER_1.ends,
)

TABLES = (UNWIND_ORDER_1, UNWIND_ORDER)
