"""refund_order: gives back a part of the money of a shipped order, or all of it, and takes back what came back."""

from __future__ import annotations

from core.domain.order import RefundRequested, Status
from core.domain.payment import PaymentStatus
from core.sagas.actions import nothing
from core.sagas.holdings import NOT_BACK, REFUND_DUE
from core.sagas.progress import SagaStatus
from core.sagas.refund_actions import refund_part, take_back
from core.sagas.saga import End, Saga, Step

GONE = (Status.SHIPPED, Status.DELIVERED)
REFUNDED = (PaymentStatus.PARTLY_REFUNDED, PaymentStatus.REFUNDED)

# fmt: off
REFUND_ORDER = Saga(
    name="refund_order", definition=1, starts_on=RefundRequested, about="refund_id", undoes=True,
    steps=(
        #    step              do           undo     holds  owes
        Step("refund_payment", refund_part, nothing, None,  owes=REFUND_DUE),
        Step("return_stock",   take_back,   nothing, None,  owes=NOT_BACK),
    ),
    ends=(End(SagaStatus.COMPLETED, GONE, REFUNDED, stock_held=False),),
)

TABLES = (REFUND_ORDER,)
