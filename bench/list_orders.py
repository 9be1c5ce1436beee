"""Fills the tables that lists of orders are read from: copies of folded orders, as fast as SQL makes them."""

from __future__ import annotations

import asyncpg

CUSTOMERS_OF = 10  # orders that each customer has, on average
RARE_OF = 5  # orders that each of the rare SKUs has; one order in a hundred is of one of them
UNCOMMON, UNCOMMON_OF = 10, 500  # so many SKUs, each of which one order in so many has
OF_A_HUNDRED = {"CREATED": 2, "CONFIRMED": 13, "CANCELLED": 5, "SHIPPED": 20, "DELIVERED": 60}
STATUSES = [status for status, share in OF_A_HUNDRED.items() for _ in range(share)]
DAYS = 90

TEMPLATE = """
CREATE UNLOGGED TABLE template AS
SELECT row_number() OVER (ORDER BY v.order_id) - 1 AS k, v.* FROM order_views v;
ALTER TABLE template ADD PRIMARY KEY (k);
TRUNCATE order_views, customer_summaries, daily_sales, sagas;
ALTER TABLE order_views SET UNLOGGED;
ALTER TABLE sagas SET UNLOGGED;
SET maintenance_work_mem = '512MB';
SET work_mem = '256MB';
"""
INDEXES = """
SELECT c.relname AS name, pg_get_indexdef(c.oid) AS definition
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid IN ('order_views'::regclass, 'sagas'::regclass) AND NOT i.indisprimary
"""
COPY = f"""
INSERT INTO order_views ({{columns}})
SELECT {{values}}
  FROM generate_series($1::bigint, $2::bigint - 1) AS n
  JOIN template t ON t.k = n % $5
 CROSS JOIN LATERAL (
        SELECT lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000' AS id,
               'customer-' || n * 7919 % ($3::bigint / {CUSTOMERS_OF}) AS customer,
               'ORD-' || upper(left(md5(n::text), 10)) AS number, ($4::text[])[1 + n * 31 % 100] AS status,
               1 + n * 7919 % 100000 / 100.0 AS total,
               CASE WHEN n % 100 = 50 THEN 'RARE-' || n / 100 % ($3::bigint / 100 / {RARE_OF})
                    WHEN n % {UNCOMMON_OF} < {UNCOMMON} THEN 'UNCOMMON-' || n % {UNCOMMON_OF} ELSE t.skus[1] END AS sku,
               date_trunc('day', clock_timestamp()) - interval '{DAYS} days' * (1 - n / $3::float8) AS at
        OFFSET 0) AS new
"""
CHANGED = {
    "order_id": "new.id::uuid",
    "customer_id": "new.customer",
    "order_number": "new.number",
    "status": "new.status",
    "total_amount": "new.total",
    "skus": "ARRAY[new.sku]",
    "created_at": "new.at",
    "updated_at": "new.at + interval '1 hour'",
    "document": "replace(replace(replace(replace(replace(t.document, t.order_id::text, new.id), t.customer_id, "
    "new.customer), t.order_number, new.number), t.skus[1], new.sku), "
    """'"status":"' || t.status || '"', '"status":"' || new.status || '"')""",
}
COLUMNS = (
    "SELECT attname FROM pg_attribute WHERE attrelid = 'order_views'::regclass AND attnum > 0 AND NOT attisdropped"
)
SUMS = """
INSERT INTO daily_sales
SELECT (created_at AT TIME ZONE 'UTC')::date, currency, count(*), 0, 0, 0 FROM order_views GROUP BY 1, 2;
INSERT INTO customer_summaries
SELECT customer_id, currency, count(*), 0, max(created_at) FROM order_views GROUP BY 1, 2;
INSERT INTO sagas (saga_id, name, definition, order_id, status, step, attempts, epoch, claims, started_at, updated_at)
SELECT order_id, 'fulfil_order', 1, order_id, 'COMPLETED', '', 0, 1, 0, created_at, updated_at FROM order_views;
DROP TABLE template;
"""


async def copy_views(dsn: str, orders: int) -> None:
    """Put so many copies of the orders in order_views there, with their sums and a completed saga of each.

    Nothing of it is in the WAL, since nobody needs it after a crash, and the indexes are made when the tables are full.
    """
    connection = await asyncpg.connect(dsn)
    await connection.execute(TEMPLATE)
    indexes = await connection.fetch(INDEXES)
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    templates = await connection.fetchval("SELECT count(*) FROM template")
    columns = [row[0] for row in await connection.fetch(COLUMNS)]
    copy = COPY.format(columns=", ".join(columns), values=", ".join(CHANGED.get(name, f"t.{name}") for name in columns))
    for first in range(0, orders, 50_000):
        await connection.execute(copy, first, min(orders, first + 50_000), orders, STATUSES, templates)
    await connection.execute(SUMS)
    for index in indexes:
        await connection.execute(index["definition"])
    for table in ("order_views", "customer_summaries", "daily_sales", "sagas"):
        await connection.execute(f"VACUUM ANALYZE {table}")
    await connection.close()
