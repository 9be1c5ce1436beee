"""The log under a race: twelve writers, guards, callers that give up, connections that are cut, two live readers."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from uuid import UUID, uuid4

import asyncpg
from uuid_utils.compat import uuid7

from core.adapters.postgres.connection import connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.subscription import PostgresSubscription
from core.codec import StoredEvent
from core.domain.inventory import StockReplenished
from core.domain.message import Metadata, Sku, StreamId
from core.errors import Unavailable
from core.ports.log import Accepted, Append, Conflict, Entry, NewEvent

WRITERS, APPENDS, STREAMS = 12, 120, 100


def an_event(rng: random.Random, correlation: UUID) -> NewEvent:
    event = StockReplenished(sku=Sku("SKU-1"), quantity=rng.randint(1, 9))
    return NewEvent(uuid7(), event, Metadata(correlation_id=correlation))


class Race:
    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.streams = [StreamId(uuid4()) for _ in range(STREAMS)]
        self.accepted: dict[UUID, tuple[int, Append]] = {}  # by the first event's id
        self.refused: list[Append] = []
        self.unknown: list[Append] = []
        self.outcomes: Counter[str] = Counter()
        self.over = asyncio.Event()

    async def write(self, number: int) -> None:
        rng = random.Random(number)
        store = PostgresEventStore(lambda: connect(self.dsn, name=f"writer{number}"))
        guessed: dict[StreamId, int] = defaultdict(int)
        for _ in range(APPENDS):
            chosen = rng.sample(self.streams, rng.randint(1, 6))
            entries = []
            for i, stream in enumerate(chosen):
                guard = i > 0 and rng.random() < 0.3
                events = [] if guard else [an_event(rng, stream) for _ in range(rng.randint(1, 3))]
                entries.append(Entry(stream, "race", guessed[stream], events))
            append = Append(entries)
            limit = 0.002 if rng.random() < 0.1 else None  # some callers give up
            try:
                async with asyncio.timeout(limit):
                    verdict = await store.append(append)
            except (TimeoutError, Unavailable) as error:
                self.outcomes[type(error).__name__] += 1
                self.unknown.append(append)
                for stream in chosen:
                    loaded = await self.load(store, stream)
                    guessed[stream] = loaded
                continue
            self.outcomes[type(verdict).__name__] += 1
            match verdict:
                case Accepted(position):
                    self.accepted[append.entries[0].events[0].event_id] = (position, append)
                    for entry in entries:
                        guessed[entry.stream] = entry.expected + len(entry.events)
                case Conflict(actual):
                    assert list(actual) != [e.expected for e in entries]
                    self.refused.append(append)
                    guessed.update(zip(chosen, actual, strict=True))
        await store.close()

    @staticmethod
    async def load(store: PostgresEventStore, stream: StreamId) -> int:
        while True:
            try:
                return len(await store.load(stream))
            except Unavailable:
                continue

    async def cut(self) -> None:
        """Cut writers' connections now and then, as a restart or a network would."""
        rng = random.Random(7)
        admin = await asyncpg.connect(self.dsn)
        while not self.over.is_set():
            await admin.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
                f"orderdeck writer{rng.randrange(WRITERS)}",
            )
            try:
                async with asyncio.timeout(0.05):
                    await self.over.wait()
            except TimeoutError:
                pass
        await admin.close()

    async def read(self, seen: list[StoredEvent], until: asyncio.Event, limit: int) -> None:
        subscription = PostgresSubscription(lambda: connect(self.dsn, name="reader"))
        async for batch in subscription.batches(until, after=0, limit=limit):
            seen.extend(batch)


async def test_twelve_writers_and_two_readers_agree_on_one_order_without_gaps(dsn: str) -> None:
    race = Race(dsn)
    first: list[StoredEvent] = []
    second: list[StoredEvent] = []
    until = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(race.read(first, until, 50))
        group.create_task(race.read(second, until, 1000))
        group.create_task(race.cut())
        async with asyncio.TaskGroup() as writers:
            for number in range(WRITERS):
                writers.create_task(race.write(number))
        race.over.set()
        admin = await asyncpg.connect(dsn)
        log = await admin.fetch("SELECT * FROM events ORDER BY position")
        await admin.close()
        async with asyncio.timeout(10):
            while len(first) < len(log) or len(second) < len(log):
                await asyncio.sleep(0.01)
        until.set()

    assert race.outcomes["Accepted"] > 200, race.outcomes
    assert race.outcomes["Conflict"] > 50, race.outcomes
    assert race.outcomes["TimeoutError"] > 5, race.outcomes

    assert [row["position"] for row in log] == list(range(1, len(log) + 1))
    versions: dict[UUID, list[int]] = defaultdict(list)
    for row in log:
        versions[row["stream_id"]].append(row["version"])
    assert all(found == list(range(1, len(found) + 1)) for found in versions.values())
    times = [row["recorded_at"] for row in log]
    assert times == sorted(times)
    for seen in (first, second):
        assert [(e.position, e.event_id) for e in seen] == [(r["position"], r["event_id"]) for r in log]

    at = {row["event_id"]: row for row in log}
    assert len(at) == len(log)
    for position, append in race.accepted.values():
        ids = [event.event_id for entry in append.entries for event in entry.events]
        assert [at[id_]["position"] for id_ in ids] == list(range(position - len(ids) + 1, position + 1))
        for entry in append.entries:  # what was guarded stood at that version when it was recorded
            start = position - len(ids)
            before = sum(1 for r in log[:start] if r["stream_id"] == entry.stream)
            assert before == entry.expected
    for append in race.refused:
        assert not any(event.event_id in at for entry in append.entries for event in entry.events)
    for append in race.unknown:  # whole or not at all
        ids = [event.event_id for entry in append.entries for event in entry.events]
        assert len({id_ in at for id_ in ids}) == 1
    accepted = {e.event_id for _, a in race.accepted.values() for entry in a.entries for e in entry.events}
    doubt = {e.event_id for a in race.unknown for entry in a.entries for e in entry.events}
    assert set(at) <= accepted | doubt
