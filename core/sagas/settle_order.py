"""settle_order: a shipped order's money is taken and its stock leaves the books."""

from __future__ import annotations

from core.domain.order import OrderShipped
from core.sagas.actions import capture, nothing, refund, ship_stock
from core.sagas.saga import Saga, Step

# fmt: off
SETTLE_ORDER = Saga(
    name="settle_order", definition=1, starts_on=OrderShipped, forward_only=True,
    steps=(
        #    step               do          undo
        Step("capture_payment", capture,    refund),
        Step("ship_inventory",  ship_stock, nothing),
    ),
)
