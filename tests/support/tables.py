"""Whether the tables of read models are as their folds declare them, and what is missing when they are not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from core.adapters.postgres.connection import ROLE, Connection
from core.adapters.postgres.read_models.store import VIEW_TABLES
from core.adapters.postgres.read_models.table import SumTable, Table
from core.projections.projection import Group, Sum

PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "TRUNCATE")
COLUMNS = """
SELECT a.attname, regexp_replace(format_type(a.atttypid, NULL), 'integer', 'bigint'),
       coalesce(a.attnum = ANY (i.indkey), false)
  FROM pg_attribute a
  LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
 WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""


def table_of(model: Any) -> Table:
    return SumTable(model) if isinstance(model, Sum) else VIEW_TABLES[model.name]


async def missing(connection: Connection, groups: Iterable[Group[Any]]) -> list[str]:
    """What to add, one sentence each; nothing when every table is there with its columns, key and grants."""
    found: list[str] = []
    for table in (table_of(model) for group in groups for model in group.models):
        if await connection.fetchval("SELECT to_regclass($1)", table.name) is None:
            found.append(f"a migration that creates the table {table.name}")
            continue
        rows = await connection.fetch(COLUMNS, table.name)
        there = {row[0]: row[1] for row in rows}
        declared = {
            column: type_.replace("timestamptz", "timestamp with time zone") for column, type_ in table.columns.items()
        }
        found += [
            f"the column {column} {type_} of {table.name} in a migration, not {there.get(column)}"
            for column, type_ in declared.items()
            if there.get(column) != type_
        ]
        found += [f"a field for {table.name}.{column} in its fold" for column in there.keys() - declared.keys()]
        if {row[0] for row in rows if row[2]} != set(table.key):
            found.append(f"PRIMARY KEY ({', '.join(table.key)}) on {table.name} in a migration")
        for privilege in PRIVILEGES:
            if not await connection.fetchval("SELECT has_table_privilege($1, $2, $3)", ROLE, table.name, privilege):
                found.append(f"GRANT {privilege} ON {table.name} TO {ROLE} in a migration")
    return found
