"""Migrations: numbered SQL files, each applied once, in one transaction. An applied file is never edited."""

from __future__ import annotations

import hashlib
from pathlib import Path

import asyncpg

from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.driver_errors import translated, translating
from core.errors import ConfigurationError, Unavailable

MIGRATIONS = Path(__file__).resolve().parents[3] / "migrations"
LOCK = 7_236_834

TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     int         NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


def migrations() -> list[tuple[int, Path]]:
    """Every migration with its number, in order."""
    return [(int(path.name[:4]), path) for path in sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql"))]


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


NEEDED = migrations()[-1][0]
"""The schema this release needs."""


async def migrate(dsn: str) -> int:
    """Apply the migrations that are missing, and return the schema's number. Several processes may call it at once.

    Raises Unavailable, DatabaseFault, and ConfigurationError when a migration cannot be applied.
    """
    connection = await connect(dsn, name="migrate", role=None, limits=False)
    try:
        with translating():
            await connection.execute("SELECT pg_advisory_lock($1)", LOCK)  # until the connection closes
            await connection.execute(TABLE)
            applied = {
                row["number"]: row["checksum"]
                for row in await connection.fetch("SELECT number, checksum FROM schema_migrations")
            }
            for number, path in migrations():
                if number not in applied:
                    await _apply(connection, number, path, path.read_text(encoding="utf-8"))
                elif applied[number] != checksum(path):
                    raise ConfigurationError(
                        f"{path.name} was edited after it was applied: restore it, write a new one"
                    )
            return max([NEEDED, *applied])
    finally:
        connection.terminate()  # not `close`, which would wait for a server that may be away


async def _apply(connection: Connection, number: int, path: Path, text: str) -> None:
    try:
        async with connection.transaction():
            await connection.execute(text)
            await connection.execute(
                "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
                number,
                path.name,
                checksum(path),
            )
    except asyncpg.PostgresError as error:
        if isinstance(translated(error), Unavailable):
            raise
        raise ConfigurationError(f"migration {path.name} failed: {error}") from error


async def schema_version(connection: Connection) -> int:
    """Number of the last applied migration; 0 for an empty database."""
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return 0
    return int(await connection.fetchval("SELECT coalesce(max(number), 0) FROM schema_migrations"))
