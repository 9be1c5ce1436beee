"""How large a log with all that is made of it is: bytes an order of each table and index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg

from bench.report import Row

A_YEAR = 100 * 365 * 86_400  # orders, at 100 a second
SHOWN = 1.0  # bytes an order; tables and indexes that are smaller are shown together
SIZES = """
SELECT t.relname AS table, coalesce(i.relname, '') AS index,
       CASE WHEN i.oid IS NULL THEN pg_table_size(t.oid) ELSE pg_relation_size(i.oid) END AS bytes
  FROM pg_class t
 CROSS JOIN LATERAL (SELECT t.oid AS of, NULL::oid AS oid, NULL::name AS relname
                      UNION ALL SELECT x.indrelid, x.indexrelid, c.relname
                        FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = t.oid) AS i
 WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace
 ORDER BY 1, 2
"""
COUNTS = """
SELECT (SELECT count(*) FROM order_views) AS orders, (SELECT max(position) FROM events) AS events,
       pg_current_wal_lsn() - '0/0' AS wal
"""


@dataclass(frozen=True)
class Size:
    """`bytes` of each table, and of each index under its table's name, a dot and its own."""

    orders: int
    events: int
    wal: int
    bytes: Mapping[str, int]

    def each(self, name: str) -> float:
        return self.bytes.get(name, 0) / self.orders

    @property
    def total(self) -> float:
        return sum(self.bytes.values()) / self.orders


async def size_of(dsn: str) -> Size:
    connection = await asyncpg.connect(dsn)
    await connection.execute("VACUUM ANALYZE")
    counts = await connection.fetchrow(COUNTS)
    rows = await connection.fetch(SIZES)
    await connection.close()
    sizes = {f"{row['table']}.{row['index']}".rstrip("."): row["bytes"] for row in rows}
    return Size(counts["orders"], counts["events"], int(counts["wal"]), sizes)


def rows_of(few: Size, many: Size, plot: Mapping[str, Any]) -> list[Row]:
    """The last row has the data of plots, and the bytes of everything."""
    year = many.total * A_YEAR / 1e12
    data = {**plot, "bytes_an_order": many.total, "tb_a_year": year, "size": asdict(many)}
    small = [name for name in many.bytes if many.each(name) < SHOWN]
    rows = [
        Row(f"  {name}", f"{many.each(name):8,.0f} bytes an order; of the real ones {few.each(name):,.0f}")
        for name in many.bytes
        if name not in small
    ]
    return [
        *rows,
        Row("  all others", f"{sum(map(many.each, small)):8,.1f} bytes an order"),
        Row("  in all", f"{many.total:8,.0f} bytes an order; of the real ones {few.total:,.0f}"),
        Row("  a year at 100 orders/s", f"{year:,.1f} TB, if nothing were cleaned", data=data),
    ]


def markdown(few: Size, many: Size) -> str:
    """The same as a table of the documentation."""
    lines = ["| table or index | bytes an order | of the real orders | a year at 100 orders/s |", "|---|---|---|---|"]
    for name in many.bytes:
        if many.each(name) >= SHOWN:
            year = many.each(name) * A_YEAR / 1e12
            lines.append(f"| `{name}` | {many.each(name):,.0f} | {few.each(name):,.0f} | {year:.2f} TB |")
    return "\n".join(lines)
