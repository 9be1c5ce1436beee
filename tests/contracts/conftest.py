"""The adapters that the contract suites run on: logs, and ways to the payment provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import UUID, uuid4

import asyncpg
import pytest

from core.adapters.memory.payments import MemoryPaymentGateway
from core.adapters.payments.http import HttpPaymentGateway
from core.adapters.postgres.connection import Link
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.ports.payments import PaymentGateway
from tests.support.log_under_test import LogUnderTest, MemoryUnderTest, PostgresUnderTest
from tests.support.opener import Opener
from tests.support.sandbox_process import SandboxProcess


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


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox")) as process:
        yield process


@pytest.fixture(params=["memory", "http"])
async def gateway(request: pytest.FixtureRequest) -> AsyncIterator[PaymentGateway]:
    if request.param == "memory":
        yield MemoryPaymentGateway()
        return
    sandbox: SandboxProcess = request.getfixturevalue("sandbox")
    async with HttpPaymentGateway(sandbox.url, timeout=8.0) as over_http:
        yield over_http


@pytest.fixture
def payment() -> UUID:
    return uuid4()
