"""All read models, in groups. The projector fills each group with a reader of its own."""

from __future__ import annotations

from typing import Any

from core.projections.customer_summary import CUSTOMER_SUMMARY
from core.projections.daily_sales import DAILY_SALES
from core.projections.inventory_level import INVENTORY_LEVEL
from core.projections.order_view import ORDER_VIEW
from core.projections.product_demand import PRODUCT_DEMAND
from core.projections.projection import Group

ORDERS = Group("orders", ORDER_VIEW, sums=(CUSTOMER_SUMMARY, PRODUCT_DEMAND, DAILY_SALES))
# The stock may be seen a little later under load than an order that was just placed.
STOCK = Group("stock", INVENTORY_LEVEL, pause=0.04)
GROUPS: tuple[Group[Any], ...] = (ORDERS, STOCK)
