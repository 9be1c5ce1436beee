"""The logs that the contract suites of the log, of sagas and of snapshots run on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from core.adapters.postgres.connection import Link
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.saga_log import PostgresSagaLog
from tests.support.log_under_test import LogUnderTest, MemoryUnderTest, PostgresUnderTest
from tests.support.opener import Opener


@pytest.fixture
async def postgres_log(dsn: str, opener: Opener, store: PostgresEventStore) -> AsyncIterator[PostgresUnderTest]:
    link, owner = Link(opener), await asyncpg.connect(dsn)
    yield PostgresUnderTest(store, PostgresSagaLog(link), owner)
    link.close()
    await owner.close()


@pytest.fixture
def memory_log() -> MemoryUnderTest:
    return MemoryUnderTest()


@pytest.fixture(params=["postgres", "memory"])
def log(request: pytest.FixtureRequest) -> LogUnderTest:
    """Each adapter in turn; a test that asks for it runs on both."""
    under_test: LogUnderTest = request.getfixturevalue(f"{request.param}_log")
    return under_test
