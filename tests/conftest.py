"""One real PostgreSQL for the whole run; every test that asks gets a database of its own, already migrated."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.migrate import migrate

settings.register_profile("orderdeck", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("orderdeck")

TEMPLATE = "template_orderdeck"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory(prefix="od-test-") as folder, EmbeddedPostgres(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
async def template(postgres: EmbeddedPostgres) -> str:
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(f"CREATE DATABASE {TEMPLATE}")
    await migrate(postgres.dsn(TEMPLATE))
    await admin.close()
    return TEMPLATE


@pytest.fixture
async def dsn(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """A fresh, migrated database of this test alone."""
    name = f"t{next(_numbers)}"
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield postgres.dsn(name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


Opener = Callable[[], Awaitable[Connection]]


@pytest.fixture
def opener(dsn: str) -> Opener:
    """Opens connections as a daemon does."""
    return lambda: connect(dsn, name="test")


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[PostgresEventStore]:
    store = PostgresEventStore(opener)
    yield store
    await store.close()


@pytest.fixture
async def admin(dsn: str) -> AsyncIterator[Connection]:
    """A connection of the owner, who may do what no daemon may."""
    connection = await connect(dsn, name="admin", role=None)
    yield connection
    await connection.close()
