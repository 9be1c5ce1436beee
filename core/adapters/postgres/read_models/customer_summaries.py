"""customer_summaries: what each customer ordered and spent, by currency."""

from __future__ import annotations

OF_CUSTOMER = """
SELECT currency, orders, spent, last_order_at FROM customer_summaries WHERE customer_id = $1 ORDER BY currency
"""
