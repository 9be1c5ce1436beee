"""The read models: what the projector runs, and the revision that makes it start over when one of them changes."""

from __future__ import annotations

from typing import Any

from core.projections.customer_summary import CUSTOMER_SUMMARY
from core.projections.daily_sales import DAILY_SALES
from core.projections.inventory_level import INVENTORY_LEVEL
from core.projections.order_view import ORDER_VIEW, OrderView
from core.projections.product_demand import PRODUCT_DEMAND
from core.projections.projection import Projection, Sum

VIEWS: tuple[Projection[Any], ...] = (ORDER_VIEW, INVENTORY_LEVEL)
SUMS: tuple[Sum[OrderView], ...] = (CUSTOMER_SUMMARY, PRODUCT_DEMAND, DAILY_SALES)
ALL: tuple[Projection[Any] | Sum[OrderView], ...] = (*VIEWS, *SUMS)

REVISION = " ".join(f"{one.name}:{one.revision}" for one in ALL)
"""Kept beside the checkpoint: another one there means that the tables were filled by other rules."""
