"""Migrations: numbered SQL files, each applied once, in one transaction. An applied file is never edited."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import asyncpg

from core.adapters.postgres.connection import Connection, address_of, connect
from core.adapters.postgres.driver_errors import translated, translating
from core.adapters.postgres.releases import note_release
from core.adapters.postgres.rights import ensure_login, ensure_rights, ensure_role, rights_of
from core.adapters.postgres.session import ROLE
from core.database_address import DatabaseAddress
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

RIGHTS_ON_SCHEMA = """
SELECT current_user::text, current_database()::text, current_schema() IS NOT NULL,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
"""
SCHEMA_AND_VERSION = "SELECT quote_ident(current_schema()), current_setting('server_version_num')::int"


def migrations() -> list[tuple[int, Path]]:
    """Every migration with its number, in order."""
    return [(int(path.name[:4]), path) for path in sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql"))]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


NEEDED = migrations()[-1][0]
"""The schema this release needs."""


async def migrate(owner: str, daemons: str | None = None) -> int:
    """Apply the migrations that are missing, ensure the daemons' rights, and return the schema's number.

    `owner` is the address at which the tables' owner logs in, `daemons` the one of the daemons when it is another:
    its user is made if it is missing. Several processes may call it at once. Raises Unavailable, DatabaseFault, and
    ConfigurationError when the database cannot be used as it is.
    """
    connection = await connect(owner, name="migrate", role=None, limits=False)
    try:
        with translating():
            await connection.execute("SELECT pg_advisory_lock($1)", LOCK)  # until the connection closes
            await _ensure_schema(connection, address_of(owner))
            role = await ensure_role(connection)
            await connection.execute(TABLE)
            applied = {
                row["number"]: row["checksum"]
                for row in await connection.fetch("SELECT number, checksum FROM schema_migrations")
            }
            for number, path in migrations():
                if number not in applied:
                    await _apply(connection, number, path, role)
                elif applied[number] != checksum(path):
                    raise ConfigurationError(
                        f"{path.name} was edited after it was applied: restore it, write a new one"
                    )
            await ensure_rights(connection, role, rights_of(_text(path) for _, path in migrations()))
            await note_release(connection)
            if daemons is not None:
                await ensure_login(connection, role, address_of(daemons))
            return max([NEEDED, *applied])
    finally:
        connection.terminate()  # not `close`, which would wait for a server that may be away


async def _ensure_schema(connection: Connection, address: DatabaseAddress) -> None:
    """Make the schema that the address names, if it is missing; raises ConfigurationError if we may not use it."""
    user, database, there, may = await connection.fetchrow(RIGHTS_ON_SCHEMA) or ("", "", True, True)
    if not there:
        try:
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {address.schema}")
        except asyncpg.InsufficientPrivilegeError:
            may = False
        else:
            may = True
    if not may:
        raise ConfigurationError(
            f"{user} may not make tables in schema {address.schema} of database {database}: "
            f'run ALTER DATABASE "{database}" OWNER TO "{user}" as a superuser, '
            "or name a schema of its own in the address (?schema=NAME)"
        )


async def _apply(connection: Connection, number: int, path: Path, role: str) -> None:
    try:
        async with connection.transaction():
            await connection.execute(await _adapted(connection, _text(path), role))
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


async def _adapted(connection: Connection, text: str, role: str) -> str:
    """A migration for this database: it is written for the role orderdeck_app, the schema public and PostgreSQL 16."""
    schema, version = await connection.fetchrow(SCHEMA_AND_VERSION) or ("public", 0)
    text = re.sub(rf"\b{ROLE}\b", role, text).replace("search_path = public,", f"search_path = {schema},")
    return text.replace("'SET')", "'MEMBER')") if version < 160_000 else text


async def schema_version(connection: Connection) -> int:
    """Number of the last applied migration; 0 for an empty database."""
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return 0
    return int(await connection.fetchval("SELECT coalesce(max(number), 0) FROM schema_migrations"))
