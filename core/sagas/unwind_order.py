"""unwind_order: an order cancelled after its fulfilment had ended gives back its money and its stock."""

from __future__ import annotations

from core.domain.order import OrderCancelled
from core.sagas.actions import nothing, release, void
from core.sagas.saga import Saga, Step

# fmt: off
UNWIND_ORDER_1 = Saga(
    name="unwind_order", definition=1, starts_on=OrderCancelled, forward_only=True,
    steps=(
        #    step                do       undo
        Step("void_payment",      void,    nothing),
        Step("release_inventory", release, nothing),
    ),
)

UNWIND_ORDER = Saga(  # tried for ever, a payment that cannot be voided was out of every operator's reach
    name="unwind_order", definition=2, starts_on=OrderCancelled, undoes=True, steps=UNWIND_ORDER_1.steps,
)
