"""A database of each older release, with orders and sagas in it, is brought up to this release's schema and used on."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from core.adapters.postgres import migrate as module
from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.migrate import NEEDED, migrate
from core.audit.verification import Verification
from core.bootstrap import freeze_evidence, migrate_database
from core.domain.order import ShipOrder
from core.home import DAEMONS
from core.sagas import SAGAS
from core.settings import Settings
from tests.support.opener import Opener
from tests.support.order_desk import Desk, now
from tests.support.projecting import project

KEPT = ("events", "sagas", "idempotency_keys", "order_number_key")
COLUMNS = """
SELECT table_name, array_agg(column_name::text) FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = ANY ($1) AND is_generated = 'NEVER' GROUP BY table_name
"""


async def columns_of(connection: asyncpg.Connection) -> dict[str, set[str]]:
    return {table: set(names) for table, names in await connection.fetch(COLUMNS, list(KEPT))}


async def copy_what_both_have(source: asyncpg.Connection, target: asyncpg.Connection) -> None:
    """Fill the old tables with the rows of the new ones, in the columns that they had then."""
    new, old = await columns_of(source), await columns_of(target)
    assert {"events", "sagas"} <= old.keys()
    for table in old:
        shared = sorted(new[table] & old[table])
        names = ", ".join(shared)
        rows = await source.fetch(f"SELECT {names} FROM {table}")
        if table == "order_number_key":
            await target.execute("DELETE FROM order_number_key")  # the migration has made another
        await target.copy_records_to_table(table, records=[tuple(row) for row in rows], columns=shared)
    numbers = await source.fetchval("SELECT last_value FROM order_number_blocks")
    await target.execute(f"SELECT setval('order_number_blocks', {numbers})")


@pytest.mark.parametrize("schema", [1, 9, 17, NEEDED - 1])
async def test_a_database_of_an_older_release_is_used_on_after_the_upgrade(
    schema: int,
    desk: Desk,
    dsn: str,
    opener: Opener,
    postgres: EmbeddedPostgres,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    await desk.stock(A=100)
    async with desk.running():
        shipped = await desk.place(A=2)
        assert await desk.ended(shipped) == "SagaCompleted"
        await desk.do(ShipOrder(now=now(), order_id=shipped, tracking_number="1Z", carrier="UPS"))
        assert await desk.ended(shipped, "settle_order") == "SagaCompleted"
        assert await desk.ended(await desk.place("test_card_fail", A=1)) == "SagaCompensated"
    waiting = await desk.place(A=1)  # nobody has taken it up when the old release is stopped

    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE older")
    older = postgres.dsn("older")
    try:
        with monkeypatch.context() as patched:
            first = module.migrations()[:schema]
            patched.setattr(module, "migrations", lambda: first)
            await migrate(older)
        source, target = await asyncpg.connect(dsn), await asyncpg.connect(older)
        await copy_what_both_have(source, target)
        await source.close()
        await target.close()

        settings = Settings(
            home=tmp_path,
            database_url=SecretStr(postgres.home.dsn("older", user=DAEMONS)),
            owner_url=SecretStr(older),
        )
        assert await migrate_database(settings) == NEEDED

        async def opened() -> Connection:
            return await connect(older, name="test")

        store = PostgresEventStore(opened)
        upgraded = Desk(opened, store)
        async with upgraded.running():
            assert await upgraded.ended(waiting) == "SagaCompleted"
            assert await upgraded.ended(await upgraded.place(A=3)) == "SagaCompleted"
            await upgraded.do(ShipOrder(now=now(), order_id=waiting, tracking_number="1Z", carrier="UPS"))
            assert await upgraded.ended(waiting, "settle_order") == "SagaCompleted"
        await store.close()
        await project(opened)
        async with freeze_evidence(settings, wait=0) as evidence:
            report = await Verification(evidence, SAGAS, None, lambda _done, _of: None).run()
        assert report.violations == []
    finally:
        await admin.execute("DROP DATABASE older WITH (FORCE)")
        await admin.close()
