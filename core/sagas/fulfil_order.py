"""fulfil_order: from a new order to a confirmed one, or back to nothing held and nothing owed."""

from __future__ import annotations

from core.domain.order import OrderCreated
from core.sagas.actions import authorize, cancel_order, confirm, nothing, release, reserve, void
from core.sagas.saga import MINUTES, SECONDS, Saga, Step

# fmt: off
FULFIL_ORDER = Saga(
    name="fulfil_order", definition=1, starts_on=OrderCreated,
    steps=(
        #    step                 do         undo           within
        Step("open_order",        nothing,   cancel_order),
        Step("reserve_inventory", reserve,   release,       30 * SECONDS),
        Step("authorize_payment", authorize, void,           5 * MINUTES),
        Step("confirm_order",     confirm,   nothing,       30 * SECONDS),
    ),
)
