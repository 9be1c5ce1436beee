"""Migrations: safe to repeat and to race, never edited, and enough for an owner who is no superuser."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from core.adapters.postgres import migrate as module
from core.adapters.postgres import releases
from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.migrate import NEEDED, migrate, schema_version
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.errors import ConfigurationError
from core.projections import GROUPS


async def test_migrating_twice_changes_nothing_the_second_time(dsn: str) -> None:
    assert await migrate(dsn) == NEEDED
    assert await migrate(dsn) == NEEDED


async def test_each_release_is_noted_when_it_begins_and_again_when_it_is_rolled_back_to(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await connect(dsn, name="test", role=None)
    await owner.execute("DELETE FROM releases")
    for build in ("one", "one", "two", "two", "one"):
        monkeypatch.setattr(releases, "build", lambda build=build: build)
        await asyncio.gather(migrate(dsn), migrate(dsn))
    assert [(release.build, release.position) for release in await releases.newest_releases(owner, 9)] == [
        ("one", 0), ("two", 0), ("one", 0)
    ]  # fmt: skip
    await owner.close()


def test_a_build_is_known_by_its_program_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = releases.build()
    assert releases.build() == here
    (tmp_path / "core").mkdir()
    (tmp_path / "core/one.py").write_text("one")
    monkeypatch.setattr(releases, "ROOT", tmp_path)
    first = releases.build()
    (tmp_path / "core/one.py").write_text("two")
    assert len({here, first, releases.build()}) == 3


async def test_two_migrations_at_once_take_turns(postgres: EmbeddedPostgres) -> None:
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE race_of_migrations")
    dsn = postgres.dsn("race_of_migrations")
    assert await asyncio.gather(*(migrate(dsn) for _ in range(4))) == [NEEDED] * 4
    await admin.execute("DROP DATABASE race_of_migrations WITH (FORCE)")
    await admin.close()


async def test_an_edited_migration_is_refused(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "checksum", lambda _: "edited")
    with pytest.raises(ConfigurationError, match=r"0001_log\.sql was edited"):
        await migrate(dsn)


async def test_an_owner_without_superuser_rights_can_migrate(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "pg") as server:
        admin = await asyncpg.connect(server.dsn("postgres"))
        await admin.execute("CREATE ROLE shop LOGIN CREATEROLE")
        await admin.execute("CREATE DATABASE shop OWNER shop")
        await admin.close()
        dsn = server.dsn("shop").replace("orderdeck_owner", "shop")
        assert await migrate(dsn) == NEEDED
        daemon = await connect(dsn, name="test")
        assert await daemon.fetchval("SELECT current_user") == "orderdeck_app"
        assert await schema_version(daemon) == NEEDED
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await daemon.execute("INSERT INTO checkpoints SELECT * FROM checkpoints; DELETE FROM events")
        await daemon.close()


ORDERS_BEFORE = "order_views:1 customer_summaries:1 product_demand:1 daily_sales:1"
ONE_READER = "order_views:1 inventory_levels:1 customer_summaries:1 product_demand:1 daily_sales:1"
AN_ORDER_WITHOUT_PAYMENT = """
INSERT INTO order_views VALUES (gen_random_uuid(), 1, 'ann', 'ORD-1', 'CREATED', 1, '{}', NULL, now(), now(), '{}')
"""


@pytest.mark.parametrize(
    ("revision", "two"), [(ONE_READER, (ORDERS_BEFORE, "inventory_levels:1")), ("other rules", ("other rules",) * 2)]
)
async def test_an_upgrade_hands_on_how_far_one_reader_was_and_fills_what_later_rules_changed(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, revision: str, two: tuple[str, str]
) -> None:
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE one_reader")
    dsn = postgres.dsn("one_reader")
    with monkeypatch.context() as patched:
        before = module.migrations()[:4]
        patched.setattr(module, "migrations", lambda: before)
        await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO checkpoints VALUES ('projector', 7, $1), ('saga-runner', 5, '')", revision)
    await connection.execute(AN_ORDER_WITHOUT_PAYMENT)
    await migrate(dsn)
    readers = await connection.fetch("SELECT reader, position, revision FROM checkpoints ORDER BY reader")
    assert [tuple(row) for row in readers] == [
        ("projector.orders", 7, two[0]), ("projector.stock", 7, two[1]), ("saga-runner", 5, ""),
    ]  # fmt: skip
    assert await connection.fetchval("SELECT count(*) FROM order_views") == 0, "a client would get it without a payment"
    for group in GROUPS:
        read_models = PostgresReadModels(lambda: connect(dsn, name="test"), group)
        assert (await read_models.open()).position == 0, "what other rules have filled is kept"
        read_models.close()
    await connection.close()
    await admin.execute("DROP DATABASE one_reader WITH (FORCE)")
    await admin.close()
