"""The tables of the read models are what their folds declare; whatever is forgotten in a migration is named."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import asyncpg
import pytest

from core.adapters.postgres.read_models.written import (
    NULL,
    array,
    copied_arrays,
    copied_documents,
    copied_rows,
    copied_texts,
)
from core.projections import GROUPS
from tests.support.tables import missing


async def test_every_read_model_has_its_table_with_its_columns_key_and_grants(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    assert await missing(connection, GROUPS) == []
    await connection.close()


FORGOTTEN = {
    "DROP TABLE daily_sales": "a migration that creates the table daily_sales",
    "ALTER TABLE daily_sales DROP revenue": "the column revenue numeric of daily_sales in a migration, not None",
    "ALTER TABLE daily_sales ALTER revenue TYPE text": (
        "the column revenue numeric of daily_sales in a migration, not text"
    ),
    "ALTER TABLE order_views ADD paid boolean": "a field for order_views.paid in its fold",
    "ALTER TABLE inventory_levels DROP CONSTRAINT inventory_levels_pkey": (
        "PRIMARY KEY (sku) on inventory_levels in a migration"
    ),
    "REVOKE TRUNCATE ON product_demand FROM orderdeck_app": (
        "GRANT TRUNCATE ON product_demand TO orderdeck_app in a migration"
    ),
}


@pytest.mark.parametrize("change", FORGOTTEN)
async def test_the_check_of_read_model_tables_names_what_a_migration_forgets(dsn: str, change: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(change)
    assert await missing(connection, GROUPS) == [FORGOTTEN[change]]
    await connection.close()


COLUMNS: dict[str, list[Any]] = {
    "text": ["", "null", "NULL", "a,b", "{a}", ' "quoted" ', "back\\slash", "\\n", "line\nbreak\ttab", "ß 好 🛒", None],
    "numeric": [Decimal("0.00"), Decimal(50000), Decimal("-12.340"), Decimal("1E+3"), Decimal(10) ** 30, None],
    "bigint": [0, -1, 2**63 - 1, None],
    "timestamptz": [datetime(2026, 11, 27, 9, 26, 53, 123456, UTC), datetime(1, 1, 1, tzinfo=UTC), None],
    "date": [date(2026, 11, 27), date(9999, 12, 31), None],
}


@pytest.mark.parametrize("type_", COLUMNS)
async def test_every_value_of_a_column_is_saved_as_it_is(dsn: str, type_: str) -> None:
    connection = await asyncpg.connect(dsn)
    texts = [chr(code) * 2 for code in range(1, 0x250)] if type_ == "text" else []
    for column in ([], COLUMNS[type_], texts, COLUMNS[type_][:1]):
        assert await connection.fetchval(f"SELECT $1::text::{type_}[]", array(column)) == column
    await connection.close()


@pytest.mark.parametrize("type_", COLUMNS)
async def test_every_value_of_a_row_is_copied_as_it_is(dsn: str, type_: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"CREATE TEMP TABLE copies (value {type_}, other text, texts text[], document text)")
    texts = [chr(code) * 2 for code in range(1, 0x250)] if type_ == "text" else []
    plain = [value for value in COLUMNS[type_] if value is None or "\\" not in json.dumps(str(value))]
    for column in filter(None, (COLUMNS[type_], texts, COLUMNS[type_][:1], plain[2:])):
        lists = [[] if value is None else [str(value), "b", "]"] for value in column]
        documents = [{"value": [str(value)]} for value in column]
        for other in ("plain", "[a]", "a,b"):
            values = copied_texts([(value, other) for value in column]).splitlines()
            written = copied_rows([values, copied_arrays(lists), copied_documents(documents)])
            await connection.copy_to_table("copies", source=BytesIO(written), format="text", null=NULL)
            rows = await connection.fetch("SELECT * FROM copies ORDER BY ctid")
            assert [row["value"] for row in rows] == column
            assert {row["other"] for row in rows} == {other}
            assert [row["texts"] for row in rows] == lists
            assert [json.loads(row["document"]) for row in rows] == documents
            await connection.execute("TRUNCATE copies")
    await connection.close()
