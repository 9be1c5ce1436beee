"""The tables of the read models are what their folds declare; whatever is forgotten in a migration is named."""

from __future__ import annotations

import asyncpg
import pytest

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
