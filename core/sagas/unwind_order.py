"""unwind_order: an order cancelled after its fulfilment had ended gives back its money and its stock."""

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

UNWIND_ORDER = Saga(  # tried for ever, a payment that cannot be voided was out of every operator's reach
    name="unwind_order", definition=2, starts_on=OrderCancelled, after=FULFIL_ORDER.name, undoes=True,
    steps=UNWIND_ORDER_1.steps, ends=UNWIND_ORDER_1.ends,
)

TABLES = (UNWIND_ORDER_1, UNWIND_ORDER)
