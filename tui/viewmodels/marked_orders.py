"""Marks: the orders that the operator marked for a command to many."""

from __future__ import annotations

from tui.viewmodels.bulk import MOST_ORDERS, BulkOrder
from tui.wire import WireOrder


class Marks:
    """Kept by the order's id, so that they stay whatever the list shows; at most MOST_ORDERS."""

    def __init__(self) -> None:
        self.orders: dict[str, BulkOrder] = {}

    def __len__(self) -> int:
        return len(self.orders)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self.orders

    def flip(self, order: WireOrder) -> None:
        if self.orders.pop(order.order_id, None) is None and len(self.orders) < MOST_ORDERS:
            self.orders[order.order_id] = BulkOrder.of(order)

    def clear(self) -> None:
        self.orders.clear()
