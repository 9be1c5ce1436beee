"""The recipe "add a read model with its route", worked through: sales by country, from the fold to the route."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from core.adapters.postgres.connection import connect
from core.adapters.postgres.evidence import open_evidence
from core.adapters.postgres.queries.readers import progress
from core.audit.verification import Report, Verification
from core.projections import ORDERS, STOCK
from core.projections.projection import total
from core.sagas import SAGAS
from core.services import request_reads
from core.services.fold_events import fold, read
from daemons.query_api import app
from daemons.query_api.readers import listing
from tests.recipes.read_model import countries
from tests.recipes.read_model.country_sales import COUNTRY_SALES
from tests.support.building import build_all
from tests.support.opener import Opener
from tests.support.orders import Sample, write
from tests.support.projecting import project
from tests.support.query_api import query_api
from tests.support.samples import authorized, captured, created, refunded
from tests.support.stored_events import fold_views, stored_events
from tests.support.tables import missing

MIGRATION = Path(__file__).parent / "read_model" / "country_sales.sql"
WITH_COUNTRIES = dataclasses.replace(ORDERS, sums=(*ORDERS.sums, COUNTRY_SALES))


@pytest.fixture
async def migrated(dsn: str) -> str:
    """A database with the recipe's migration."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(MIGRATION.read_text())
    await connection.close()
    return dsn


def test_what_is_captured_for_an_order_counts_for_its_country_until_it_is_refunded() -> None:
    [placed] = fold_views(ORDERS.projection, [created])
    [paid] = fold_views(ORDERS.projection, [created, authorized, captured])
    [sent_back] = fold_views(ORDERS.projection, [created, authorized, captured, refunded])
    amount = placed.total_amount
    assert list(COUNTRY_SALES.change(None, placed)) == [(("US", "USD"), (1, 0))]
    assert list(COUNTRY_SALES.change(placed, paid)) == [(("US", "USD"), (0, amount))]
    assert list(COUNTRY_SALES.change(paid, sent_back)) == [(("US", "USD"), (0, -amount))]


async def test_a_check_names_the_missing_table_of_a_read_model_without_migration(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    assert await missing(connection, [WITH_COUNTRIES]) == ["a migration that creates the table country_sales"]
    await connection.execute(MIGRATION.read_text())
    assert await missing(connection, [WITH_COUNTRIES]) == []
    await connection.close()


async def test_a_new_read_model_fills_its_own_group_again_and_leaves_the_stock_group_as_it_is(
    migrated: str, opener: Opener
) -> None:
    log = Sample(60, payments=True).events()
    await write(migrated, log)
    await project(opener)
    connection = await asyncpg.connect(migrated)
    assert await connection.fetchval("SELECT count(*) FROM country_sales") == 0
    stock = await connection.fetchval("SELECT xmin::text FROM checkpoints WHERE reader = $1", STOCK.reader)

    await project(opener, groups=[WITH_COUNTRIES])
    assert await connection.fetchval("SELECT count(*) FROM country_sales") == 0  # it is read when all of it is there
    await build_all(opener, WITH_COUNTRIES)
    rows = await connection.fetch("SELECT * FROM country_sales")
    assert {tuple(row[:2]): tuple(row[2:]) for row in rows} == expected(log)
    assert await connection.fetchval("SELECT xmin::text FROM checkpoints WHERE reader = $1", STOCK.reader) == stock
    await connection.close()


def expected(log: Sequence[Any]) -> Mapping[Any, Any]:
    views = fold(ORDERS.projection, {}, read(ORDERS.projection, log)).values()
    return total(change for view in views for change in COUNTRY_SALES.change(None, view))


async def test_the_route_of_the_new_read_model_answers_the_sales_of_a_country(
    migrated: str, opener: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [event] = stored_events([created])
    await write(migrated, [event])
    await project(opener, groups=[WITH_COUNTRIES])
    monkeypatch.setattr(app, "MODULES", (*app.MODULES, countries))
    monkeypatch.setattr(request_reads, "GROUPS", (WITH_COUNTRIES, STOCK))
    async with query_api(migrated, tmp_path) as api:
        answer = await api.get("/api/v1/countries/US/sales", min_position=1)
        assert answer == {"country": "US", "totals": [{"currency": "USD", "orders": 1, "revenue": 0.0}]}
        assert (await api.get("/api/v1/countries/FR/sales", 404))["error"] == "there is no country FR"


async def test_the_new_read_model_is_listed_with_its_group(migrated: str, opener: Opener) -> None:
    await project(opener, groups=[WITH_COUNTRIES])
    connection = await opener()
    readers = {one.reader: one for one in await progress(connection)}
    await connection.close()
    listed = {row["name"]: row["reader"] for row in listing([WITH_COUNTRIES], readers, 0)}
    assert listed["country_sales"] == "projector.orders"


async def test_verify_compares_the_new_read_model_with_the_log(migrated: str, opener: Opener) -> None:
    await write(migrated, stored_events([created]))
    await project(opener, groups=[WITH_COUNTRIES, STOCK])
    assert [finding for finding in (await run_verify(migrated)).violations if finding.invariant == "I7"] == []
    connection = await asyncpg.connect(migrated)
    await connection.execute("UPDATE country_sales SET orders = 7")
    await connection.close()
    [wrong] = [finding for finding in (await run_verify(migrated)).violations if finding.invariant == "I7"]
    assert wrong.what.startswith("country_sales has (7, ")


async def run_verify(dsn: str) -> Report:
    async with open_evidence(lambda: connect(dsn, name="verify", role=None, limits=False), wait=0) as evidence:
        return await Verification(evidence, SAGAS, None, lambda _done, _of: None, orders=WITH_COUNTRIES).run()
