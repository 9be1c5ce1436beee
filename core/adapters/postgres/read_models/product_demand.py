"""product_demand: how much of each SKU was ordered and what it brought in, by currency."""

from __future__ import annotations

OF_SKU = "SELECT currency, units_ordered, units_live, revenue FROM product_demand WHERE sku = $1 ORDER BY currency"
