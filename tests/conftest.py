"""One real PostgreSQL for the whole run; every test that asks gets a database of its own, already migrated."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.migrate import migrate
from tests.support.kafka_for_all import KafkaForAll, kafka_for_all
from tests.support.kafka_for_all import kafka_link as link_to_kafka
from tests.support.logins import of_daemons
from tests.support.memory_folder import in_memory, open_folder, open_pytest_folders
from tests.support.opener import Opener
from tests.support.redis_server import RedisServer
from tests.support.tcp_link import TcpLink

settings.register_profile("orderdeck", deadline=None, max_examples=50)  # a busy machine is slow, not wrong
settings.register_profile("thorough", deadline=None, max_examples=1_000)  # by --hypothesis-profile
settings.load_profile("orderdeck")

# Else every worker compiles all the same files again, which takes it 6 s, and so does every daemon, 0.1 s each time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Else a path of whoever runs the tests would look like a test's own, for which no daemon is a fork: 0.6 s of CPU each.
if "PYTHONPATH" in os.environ:
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])

in_memory()
open_pytest_folders()

ROOT = Path(__file__).parent
TEMPLATE = "template_orderdeck"
FASTER = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "max_wal_size": "512MB"}
"""Nobody pulls the plug of a server that only tests use. Whole stacks have the settings that orderdeck runs with."""
LONGEST = ("system", "recipes/event", "kafka", "sagas", "daemons", "services", "recipes", "contracts", "tui")
"""Folders of tests, those with the longest files first."""


class FreshDatabases(NamedTuple):
    """The names of those that the next tests may use, and of those that tests have used."""

    ready: asyncio.Queue[str]
    used: asyncio.Queue[str]


def pytest_xdist_auto_num_workers() -> int:
    """With `-n auto`: two workers a core, since tests wait for other processes much of the time; more gain nothing."""
    return 2 * (os.cpu_count() or 1)


class WholeStacksTogether(LoadFileScheduling):
    """Gives a worker whole files, and all of tests/system to the same one, so that they start one stack in all."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/system" if file.startswith("tests/system/") and "/test_chaos" not in file else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return WholeStacksTogether(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let each worker of a whole run load the tests from another file on, since Python compiles each file only once.

    All at once they would each compile every file of a fresh checkout, in the same order, which takes 20 s of CPU.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    gc.disable()  # until all tests are loaded: hardly anything is garbage by then, and to look for it takes 0.5 s
    files = sorted(ROOT.rglob("test_*.py"))
    begin = int(worker["workerid"].removeprefix("gw")) * len(files) // worker["workercount"]
    with warnings.catch_warnings(action="error"):
        for file in files[begin:] + files[:begin]:
            with contextlib.suppress(Exception, pytest.skip.Exception):  # the collection meets it again, and says it
                import_module(".".join(file.relative_to(ROOT.parent).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no worker is left alone with one at the end."""
    rank = {ROOT / folder: place for place, folder in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.parent, len(rank)))


def pytest_collection_finish() -> None:
    """All that is loaded by now stays until the end, so no garbage collection need look at it again.

    To look for cycles as often as Python does by itself takes more of the CPU; less often would keep sockets open.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 5, 5)
    gc.enable()


def pytest_unconfigure() -> None:
    """The process ends, so spare pytest five looks through all that its tests have left, which take a second each."""
    gc.freeze()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with open_folder("od-test-") as folder, EmbeddedPostgres(folder, **FASTER) as server:
        yield server


@pytest.fixture(scope="session")
async def template(postgres: EmbeddedPostgres) -> str:
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(f"CREATE DATABASE {TEMPLATE}")
    await migrate(postgres.dsn(TEMPLATE), of_daemons(postgres.dsn(TEMPLATE)))
    await admin.close()
    return TEMPLATE


@pytest.fixture(scope="session")
async def fresh(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[FreshDatabases]:
    """Fresh, migrated databases: while a test is at work, the next ones are made and the last ones dropped."""
    ready, used = asyncio.Queue[str](maxsize=2), asyncio.Queue[str]()

    async def make() -> None:
        admin = await asyncpg.connect(postgres.dsn("postgres"))
        try:
            for number in itertools.count(1):
                await admin.execute(f"CREATE DATABASE t{number} TEMPLATE {template} STRATEGY file_copy")
                await ready.put(f"t{number}")
        finally:
            admin.terminate()

    async def drop() -> None:
        admin = await asyncpg.connect(postgres.dsn("postgres"))
        try:
            while True:
                await admin.execute(f"DROP DATABASE {await used.get()} WITH (FORCE)")
        finally:
            admin.terminate()

    working = [asyncio.create_task(make()), asyncio.create_task(drop())]
    yield FreshDatabases(ready, used)
    for each in working:
        each.cancel()
    await asyncio.wait(working)
    for each in working:
        if not each.cancelled():
            each.result()  # it has failed


@pytest.fixture
async def dsn(postgres: EmbeddedPostgres, fresh: FreshDatabases) -> AsyncIterator[str]:
    """A fresh, migrated database of this test alone."""
    name = await fresh.ready.get()
    yield postgres.dsn(name)
    fresh.used.put_nowait(name)


@pytest.fixture
def opener(dsn: str) -> Opener:
    """Opens connections as a daemon does."""
    return lambda: connect(dsn, name="test")


@pytest.fixture(scope="session")
def kafka(testrun_uid: str, worker_id: str) -> KafkaForAll:
    """A real Kafka, which all workers share: name the topics and groups of a test so that no other test has them."""
    return kafka_for_all(testrun_uid, os.getpid() if worker_id == "master" else os.getppid())


@pytest.fixture
def kafka_link(kafka: KafkaForAll) -> Iterator[TcpLink]:
    """The same Kafka behind a link that the test may cut, freeze and slow down."""
    with link_to_kafka(kafka) as link:
        yield link


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of this worker. A test that stops it starts it again."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


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
