"""Errors of PostgreSQL: what passes by itself is raised as an outage, and everything else as a fault."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from core.adapters.postgres.connection import Connection, Link, connect
from core.adapters.postgres.driver_errors import connection_lost, translated
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.errors import DatabaseFault, Unavailable, ValuesRefused
from core.ports.log import Accepted
from tests.support.log import append, entry, log_held, stream
from tests.support.opener import Opener

Work = Callable[[Connection], Awaitable[object]]


@pytest.fixture
async def link(opener: Opener) -> AsyncIterator[Link]:
    link = Link(opener)
    yield link
    link.close()


def statement(text: str, *arguments: object) -> Work:
    return lambda connection: connection.fetch(text, *arguments)


def raises(sqlstate: str) -> Work:
    return statement(f"DO $$ BEGIN RAISE 'secret' USING ERRCODE = '{sqlstate}'; END $$")


# --- statements ---------------------------------------------------------------------------------------------
FAULTS: list[tuple[str, Work, str, str]] = [
    ("a missing column", statement("SELECT nowhere FROM events"), "undefined column", "42703"),
    ("a missing table", statement("SELECT * FROM nowhere"), "undefined table", "42P01"),
    ("a missing function", statement("SELECT nowhere(1)"), "undefined function", "42883"),
    ("a missing grant", statement("DELETE FROM events"), "insufficient privilege", "42501"),
    ("a mistake in the SQL", statement("SELEC 'secret'"), "postgres syntax", "42601"),
    ("an internal error", raises("XX000"), "internal server", "XX000"),
    ("damaged data", raises("XX001"), "data corrupted", "XX001"),
    ("arguments that do not fit", statement("SELECT $1::int", 1, 2), "interface", ""),
]  # fmt: skip
VALUES: list[tuple[str, Work]] = [
    ("a number that is none", statement("SELECT $1::text::int", "secret")),
    ("a division by zero", statement("SELECT 1 / $1::int", 0)),
    ("a value that the driver cannot encode", statement("SELECT $1::int", "secret")),
]


@pytest.mark.parametrize(("work", "name", "sqlstate"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
@pytest.mark.parametrize("way", ["run", "once"])
async def test_the_message_of_a_fault_names_its_kind_and_shows_neither_the_statement_nor_its_values(
    link: Link, way: str, work: Work, name: str, sqlstate: str
) -> None:
    with pytest.raises(DatabaseFault) as fault:
        await getattr(link, way)(work)
    assert type(fault.value) is DatabaseFault
    assert (fault.value.name, fault.value.sqlstate) == (name, sqlstate)
    assert name in str(fault.value)
    assert not any(word in str(fault.value) for word in ("secret", "SELECT", "SELEC", "DELETE"))
    assert isinstance(fault.value.__cause__, (asyncpg.PostgresError, asyncpg.InterfaceError))
    assert await link.run(lambda c: c.fetchval("SELECT 1")) == 1


@pytest.mark.parametrize("work", [v[1] for v in VALUES], ids=[v[0] for v in VALUES])
async def test_a_value_that_the_database_refuses_raises_another_error_than_other_faults(link: Link, work: Work) -> None:
    connection = await link.get()
    with pytest.raises(ValuesRefused) as fault:
        await link.run(work)
    assert "secret" not in str(fault.value)
    assert await link.get() is connection, "nothing is wrong with the connection"


async def test_the_error_names_a_missing_column_or_grant(link: Link) -> None:
    with pytest.raises(DatabaseFault, match='column "nowhere" does not exist'):
        await link.run(statement("SELECT nowhere FROM events"))
    with pytest.raises(DatabaseFault, match="permission denied for table events"):
        await link.run(statement("DELETE FROM events"))


async def test_a_statement_that_takes_too_long_is_an_outage(link: Link) -> None:
    await link.run(lambda c: c.execute("SET statement_timeout = '20ms'"))
    with pytest.raises(Unavailable):
        await link.run(statement("SELECT pg_sleep(10)"))


async def test_a_lock_that_is_not_granted_in_time_is_an_outage(link: Link, admin: Connection) -> None:
    await link.run(lambda c: c.execute("SET lock_timeout = '20ms'"))
    async with admin.transaction():
        await admin.execute("LOCK TABLE checkpoints")
        with pytest.raises(Unavailable):
            await link.run(statement("SELECT * FROM checkpoints"))


@pytest.mark.parametrize(
    "sqlstate", ["40001", "40P01", "55P03", "57014", "53100", "53200", "53300", "57P01", "57P02", "57P03", "08006"]
)
async def test_an_error_that_passes_by_itself_is_an_outage(link: Link, sqlstate: str) -> None:
    with pytest.raises(Unavailable):
        await link.run(raises(sqlstate))


def test_using_a_closed_connection_is_an_outage_and_using_an_open_one_wrongly_is_a_fault() -> None:
    closed, busy = asyncpg.InterfaceError("connection is closed"), asyncpg.InterfaceError("another operation")
    assert connection_lost(closed)
    assert isinstance(translated(closed), Unavailable)
    assert not connection_lost(busy)
    assert isinstance(translated(busy), DatabaseFault)
    assert translated(KeyError("not the driver's")) is None


# --- connections --------------------------------------------------------------------------------------------
async def test_only_work_that_may_be_repeated_is_tried_again_on_a_new_connection(link: Link, admin: Connection) -> None:
    tries: list[int] = []

    async def work(connection: Connection) -> int:
        tries.append(1)
        if len(tries) == 1:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
        return int(await connection.fetchval("SELECT 1"))

    assert await link.run(work) == 1
    assert len(tries) == 2
    tries.clear()
    with pytest.raises(Unavailable):
        await link.once(work)
    assert len(tries) == 1
    assert await link.once(work) == 1


async def test_connecting_to_a_stopped_server_is_an_outage(short_folder: Path) -> None:
    with EmbeddedPostgres(short_folder) as server:
        link = Link(lambda: connect(server.dsn("postgres"), name="test", role=None))
        assert await link.run(lambda c: c.fetchval("SELECT 1")) == 1
        server.stop()
        for _ in range(2):
            with pytest.raises(Unavailable):
                await link.run(lambda c: c.fetchval("SELECT 1"))
        link.close()


async def test_connecting_to_an_unknown_database_is_a_fault(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(DatabaseFault, match=r'invalid catalog name .*: database "nowhere" does not exist'):
        await connect(postgres.dsn("nowhere"), name="test")


async def test_connecting_as_an_unknown_role_is_a_fault(dsn: str) -> None:
    with pytest.raises(DatabaseFault, match='role "nobody" does not exist'):
        await connect(dsn, name="test", role="nobody")
    with pytest.raises(DatabaseFault, match='role "nobody" does not exist'):
        await connect(dsn.replace("postgresql://orderdeck_owner@", "postgresql://nobody@"), name="test")


def ask_for_password(rules: Path) -> None:
    rules.write_text(f"local all guest scram-sha-256\n{rules.read_text()}")


async def connects_until_refused(dsn: str) -> None:
    """The server takes a moment to read its new rules."""
    async with asyncio.timeout(10):
        while True:
            await (await connect(dsn, name="test", role=None)).close()


async def test_connecting_with_a_wrong_password_is_a_fault_that_does_not_show_the_password(short_folder: Path) -> None:
    with EmbeddedPostgres(short_folder) as server:
        owner = await asyncpg.connect(server.dsn("postgres"))
        await owner.execute("CREATE ROLE guest LOGIN PASSWORD 'right'")
        ask_for_password(server.data / "pg_hba.conf")
        await owner.execute("SELECT pg_reload_conf()")
        await owner.close()
        guest = server.dsn("postgres").replace("postgresql://orderdeck_owner@", "postgresql://guest:wrong@")
        with pytest.raises(DatabaseFault, match="invalid password") as fault:
            await connects_until_refused(guest)
        assert "wrong" not in str(fault.value)


async def test_connecting_to_a_server_with_too_many_connections_is_an_outage(dsn: str, admin: Connection) -> None:
    role = f"narrow_{os.getpid()}"
    await admin.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    narrow = dsn.replace("postgresql://orderdeck_owner@", f"postgresql://{role}@")
    first = await connect(narrow, name="test", role=None)
    try:
        with pytest.raises(Unavailable, match="too many connections"):
            await connect(narrow, name="test", role=None)
    finally:
        await first.close()
        await admin.execute(f"DROP ROLE {role}")


# --- the log ------------------------------------------------------------------------------------------------
BROKEN: list[tuple[str, str, str, str]] = [
    (
        "a missing grant",
        "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC, orderdeck_app",
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO orderdeck_app",
        "insufficient privilege",
    ),
    (
        "a missing column",
        "ALTER TABLE events RENAME COLUMN stream_id TO away",
        "ALTER TABLE events RENAME COLUMN away TO stream_id",
        "undefined column",
    ),
    (
        "a missing function",
        "ALTER FUNCTION append_events RENAME TO away",
        "ALTER FUNCTION away RENAME TO append_events",
        "undefined function",
    ),
]


@asynccontextmanager
async def broken(admin: Connection, breaks: str, mends: str) -> AsyncIterator[None]:
    await admin.execute(breaks)
    yield
    await admin.execute(mends)


@pytest.mark.parametrize(("breaks", "mends", "name"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
async def test_an_append_that_meets_a_fault_raises_at_once_and_succeeds_after_the_repair(
    store: PostgresEventStore, admin: Connection, breaks: str, mends: str, name: str
) -> None:
    async with broken(admin, breaks, mends):
        found = await asyncio.gather(*(store.append(append(entry(stream()))) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in found] == [DatabaseFault] * 3
        assert name in str(found[0])
    assert await store.append(append(entry(stream()))) == Accepted(1)


async def test_an_append_that_waits_too_long_for_the_logs_lock_is_an_outage(
    dsn: str, store: PostgresEventStore
) -> None:
    async with log_held(dsn):
        with pytest.raises(Unavailable):
            await store.append(append(entry(stream())))


async def test_a_read_that_meets_a_fault_succeeds_after_the_repair(
    store: PostgresEventStore, admin: Connection
) -> None:
    at = stream()
    assert await store.append(append(entry(at))) == Accepted(1)
    async with broken(admin, "REVOKE SELECT ON events FROM orderdeck_app", "GRANT SELECT ON events TO orderdeck_app"):
        for read in (lambda: store.load(at), lambda: store.read_log(after=0, limit=1), store.head):
            with pytest.raises(DatabaseFault, match="permission denied"):
                await read()
    assert len(await store.load(at)) == 1


@pytest.fixture
def short_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="od-") as folder:
        yield Path(folder)
