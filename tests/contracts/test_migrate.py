"""Migrations: safe to repeat and to race, never edited, and enough for an owner who is no superuser."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from core.adapters.postgres import migrate as module
from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.migrate import NEEDED, migrate, schema_version
from core.errors import ConfigurationError


async def test_it_may_be_run_again(dsn: str) -> None:
    assert await migrate(dsn) == NEEDED
    assert await migrate(dsn) == NEEDED


async def test_two_at_once_take_turns(postgres: EmbeddedPostgres) -> None:
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


async def test_an_owner_without_superuser_rights_is_enough(tmp_path: Path) -> None:
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
