"""The query API reads from a streaming replica, and from the primary whatever a replica does not show or answer."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from msgspec.structs import replace

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.migrate import migrate
from core.adapters.postgres.replicas import replica as replica_module
from core.codec import StoredEvent
from tests.support.logins import of_daemons
from tests.support.orders import order_id, path, write
from tests.support.query_api import QueryApi, query_api
from tests.support.replica_server import ReplicaServer
from tests.support.stored_events import stored_events

PRIMARY, REPLICA = "primary", "replica-1"
LIST = "/api/v1/orders"


def events_of(number: int, *, after: int) -> list[StoredEvent]:
    """The events of one order, as they stand in the log after a position."""
    events = stored_events(path(number, random.Random(3)))
    return [replace(event, position=after + event.position) for event in events]


@dataclass
class Pair:
    """A primary, its replica, and a query API that knows both. `number` is that of the order that was written last."""

    server: EmbeddedPostgres
    replica: ReplicaServer
    api: QueryApi
    log: list[StoredEvent] = field(default_factory=list[StoredEvent])
    number: int = 0

    async def one_more(self) -> str:
        """Write one more order, fill the read models, and return the path of the order."""
        self.number += 1
        events = events_of(self.number, after=len(self.log))
        await write(self.api.dsn, events)
        self.log += events
        await self.api.project()
        return f"{LIST}/{order_id(self.number)}"

    async def read(self, path: str = LIST, status: int = 200, **params: Any) -> httpx.Response:
        answer = await self.api.client.get(path, params=params or None)
        assert answer.status_code == status, answer.text
        return answer

    async def answered_by(self, server: str, path: str = LIST, *, within: float = 20, **params: Any) -> httpx.Response:
        """Read until this server answers."""
        async with asyncio.timeout(within):
            while (answer := await self.read(path, **params)).headers["orderdeck-server"] != server:
                await asyncio.sleep(0.02)
        return answer

    async def quickest(self, path: str = LIST, status: int = 200, **params: Any) -> float:
        """The seconds that the quickest of a few reads takes; a busy machine may hold up some of them, but not all."""
        took: list[float] = []
        for _ in range(4):
            began = time.monotonic()
            await self.read(path, status, **params)
            took.append(time.monotonic() - began)
        return min(took)

    async def ready(self) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.api.client.get("/ready")).json()
        return answer

    async def degraded(self, words: str, *, within: float = 20) -> str:
        """Wait until /ready says these words, being ready."""
        async with asyncio.timeout(within):
            while not re.search(words, told := (await self.ready()).get("degraded", "-")):
                await asyncio.sleep(0.05)
        return told


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("primary")) as server:
        yield server


@pytest.fixture(scope="module")
async def dsn(server: EmbeddedPostgres) -> str:
    admin = await asyncpg.connect(server.dsn("postgres"))
    await admin.execute("CREATE DATABASE desk")
    await admin.close()
    await migrate(server.dsn("desk"), of_daemons(server.dsn("desk")))
    return server.dsn("desk")


@pytest.fixture(scope="module")
async def pair(server: EmbeddedPostgres, dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    with ReplicaServer(server) as replica:
        urls = replica.url("desk")
        async with query_api(dsn, tmp_path_factory.mktemp("home"), replica_urls=urls) as api:
            yield Pair(server, replica, api)


@pytest.fixture(autouse=True)
async def _told_soon(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that is behind is told of at once, and each test begins with one that is asked."""
    monkeypatch.setattr(replica_module, "BEHIND_FOR", 0.2)
    await pair.answered_by(REPLICA)


async def test_reads_that_need_not_be_the_newest_go_to_the_replica(pair: Pair) -> None:
    order = await pair.one_more()
    await pair.answered_by(REPLICA, order, min_position=len(pair.log))
    for name in ("orders", "orders/counts", "stats", "sagas", "sagas/summary", "inventory", "events?limit=1",
                 "events?before=3", f"orders/{order_id(1)}/events", f"orders/{order_id(1)}/timeline"):  # fmt: skip
        assert (await pair.read(f"/api/v1/{name}")).headers["orderdeck-server"] == REPLICA, name
    # What waits, what a replica says is not there, and the end of the log.
    later = {"min_version": 99, "wait": 0.05}
    assert (await pair.read(order, 409, **later)).json()["code"] == "version_not_reached"
    assert (await pair.read(f"{LIST}/{order_id(999)}", 404)).json()["code"] == "not_found"
    assert (await pair.read("/api/v1/events")).headers["orderdeck-server"] == PRIMARY
    metrics = (await pair.read("/metrics")).text
    assert 'orderdeck_replica_asked{server="replica-1"} 1.0' in metrics
    assert 'orderdeck_replica_lag_events{server="replica-1"} 0.0' in metrics
    reads = dict(line.split() for line in metrics.splitlines() if line.startswith("orderdeck_reads_total"))
    assert float(reads['orderdeck_reads_total{server="replica-1"}']) >= 10
    assert float(reads['orderdeck_reads_total{server="primary"}']) >= 1


async def test_a_replica_that_is_behind_is_not_asked(pair: Pair) -> None:
    await pair.one_more()
    await pair.replica.run("SELECT pg_wal_replay_pause()")
    try:
        began = time.monotonic()
        order = await pair.one_more()
        head = len(pair.log)
        # Whoever says what they have written sees it at once, wherever it is read.
        for read in (order, LIST, "/api/v1/stats", "/api/v1/orders/counts"):
            answer = await pair.read(read, min_position=head)
            assert answer.headers["orderdeck-server"] == PRIMARY
            assert int(answer.headers["orderdeck-position"]) >= head
        assert (await pair.read(order, min_version=pair.log[-1].version)).headers["orderdeck-server"] == PRIMARY
        assert (await pair.read(order)).json()["order_id"] == str(order_id(pair.number))  # a replica denies nothing
        # Who says nothing sees it after a second.
        answer = await pair.answered_by(PRIMARY)
        assert time.monotonic() - began < 3
        assert len(answer.json()["orders"]) == pair.number
        assert "replay is paused" in await pair.degraded("events behind")
        assert 'orderdeck_replica_lag_events{server="replica-1"} 0.0' not in (await pair.read("/metrics")).text
    finally:
        await pair.replica.run("SELECT pg_wal_replay_resume()")
    answer = await pair.answered_by(REPLICA)
    assert len(answer.json()["orders"]) == pair.number
    await pair.degraded("^-$")


async def test_no_answer_is_older_than_the_one_whose_position_it_was_asked_with(pair: Pair) -> None:
    seen, position = 0, 0
    for _ in range(8):
        await pair.one_more()
        for _ in range(3):
            answer = await pair.read("/api/v1/orders/counts", min_position=position)
            total, position = answer.json()["total"]["total"], int(answer.headers["orderdeck-position"])
            assert total >= seen
            seen = total
    newest = await pair.read("/api/v1/orders/counts", min_position=len(pair.log))
    assert newest.json()["total"]["total"] == pair.number


async def test_a_position_that_nothing_shows_is_refused_soon(pair: Pair) -> None:
    beyond = len(pair.log) + 1
    refusal = (await pair.read(LIST, 409, min_position=beyond)).json()
    assert refusal["code"] == "position_not_reached"
    assert f"the log ends at position {beyond - 1}" in refusal["detail"]
    assert await pair.quickest(LIST, 409, min_position=beyond) < 0.9
    events = events_of(pair.number + 1, after=len(pair.log))
    await write(pair.api.dsn, events)  # and no projector runs
    pair.log += events
    pair.number += 1
    refusal = (await pair.read(LIST, 409, min_position=beyond)).json()
    assert f"the read model is at position {beyond - 1}, not {beyond} yet" in refusal["detail"]
    answer = await pair.read(f"{LIST}/{order_id(pair.number)}", min_position=len(pair.log))
    assert answer.headers["orderdeck-read-from"] == "log"
    assert int(answer.headers["orderdeck-position"]) >= len(pair.log)
    assert (await pair.read("/api/v1/events", min_position=len(pair.log))).json()["head"] == len(pair.log)
    await pair.api.project()
    await pair.read(LIST, min_position=len(pair.log))


async def test_reads_go_on_while_a_replica_is_frozen(pair: Pair) -> None:
    pair.replica.freeze()
    try:
        began = time.monotonic()
        answers = await asyncio.gather(*(pair.read() for _ in range(20)))
        assert {answer.headers["orderdeck-server"] for answer in answers} == {PRIMARY}
        assert time.monotonic() - began < 4
        assert "not answered" in await pair.degraded("replica-1 .* is not asked")
        assert await pair.quickest() < 1
    finally:
        pair.replica.go_on()
    await pair.answered_by(REPLICA)


async def test_a_replica_that_went_away_is_asked_again_when_it_is_back(pair: Pair) -> None:
    await asyncio.to_thread(pair.replica.stop)
    assert (await pair.read()).headers["orderdeck-server"] == PRIMARY
    await pair.degraded("is not asked: the database is away")
    pair.replica.start()
    await pair.answered_by(REPLICA)


async def test_reads_that_the_replay_cancels_are_done_by_the_primary(pair: Pair) -> None:
    owner = await asyncpg.connect(pair.api.dsn)
    stop = asyncio.Event()

    async def rewrite() -> None:
        while not stop.is_set():
            await owner.execute("VACUUM FULL order_views")

    rewriting = asyncio.create_task(rewrite())
    until = time.monotonic() + 1
    while time.monotonic() < until:
        await asyncio.gather(*(pair.read() for _ in range(4)))
    stop.set()
    await rewriting
    await owner.close()


async def test_reads_go_on_without_the_primary_and_say_so(pair: Pair) -> None:
    order = await pair.one_more()
    await pair.answered_by(REPLICA, order, min_position=len(pair.log))
    await asyncio.to_thread(pair.server.stop)
    try:
        await pair.degraded("the primary has not answered for")
        for read in (order, LIST, "/api/v1/stats"):
            answer = await pair.read(read)
            assert answer.headers["orderdeck-server"] == REPLICA
            assert float(answer.headers["orderdeck-primary-away"]) > 0
        assert (await pair.ready())["status"] == "ready"
        assert (await pair.read(LIST, min_position=len(pair.log))).status_code == 200
        for read in (f"{LIST}/{order_id(999)}", "/api/v1/events", "/api/v1/projections"):
            assert (await pair.read(read, 503)).json()["code"] == "unavailable"
        await pair.read(LIST, 503, min_position=len(pair.log) + 1)
    finally:
        pair.server.start()
    async with asyncio.timeout(20):
        while "orderdeck-primary-away" in (await pair.read()).headers:
            await asyncio.sleep(0.05)
    order = await pair.one_more()
    await pair.answered_by(REPLICA, order, min_position=len(pair.log))


async def test_servers_that_are_no_replicas_of_the_primary_are_not_asked(
    pair: Pair, postgres: EmbeddedPostgres, template: str, tmp_path: Path
) -> None:
    """A promoted replica, a replica of that one with a log of its own, the primary, another database and server."""
    with ReplicaServer(pair.server) as promoted:
        await promoted.run("SELECT pg_promote()")
        astray = events_of(900, after=len(pair.log))
        await write(promoted.dsn("desk"), astray)
        with ReplicaServer(pair.server, promoted) as follower:
            urls = [
                promoted.url("desk"), follower.url("desk"), of_daemons(pair.api.dsn),
                of_daemons(postgres.dsn(template)), pair.replica.dsn("postgres"), pair.replica.dsn("desk"),
            ]  # fmt: skip
            async with query_api(pair.api.dsn, tmp_path, replica_urls=" ".join(urls)) as api:
                other = Pair(pair.server, pair.replica, api, pair.log, pair.number)
                reasons = (
                    "it takes writes, so it is no replica",
                    "its log is not the primary's",
                    "it is the primary itself",
                    "it is a copy of another server",
                    "the database has a fault",
                    "its user is a superuser",
                )
                for number, why in enumerate(reasons, start=1):
                    await other.degraded(rf"replica-{number} \([^)]*\) is not asked: [^;]*{why}")
                for _ in range(10):
                    assert (await other.read()).headers["orderdeck-server"] == PRIMARY
