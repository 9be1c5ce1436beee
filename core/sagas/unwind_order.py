"""unwind_order: an order cancelled after its fulfilment had ended gives back its money and its stock."""

from __future__ import annotations

from core.domain.order import OrderCancelled
from core.sagas.actions import nothing, release, void
from core.sagas.saga import Saga, Step

# fmt: off
UNWIND_ORDER = Saga(
    name="unwind_order", definition=1, starts_on=OrderCancelled, forward_only=True,
    steps=(
        #    step                do       undo
        Step("void_payment",      void,    nothing),
        Step("release_inventory", release, nothing),
    ),
)
