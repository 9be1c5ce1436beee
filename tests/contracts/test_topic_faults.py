"""Topics may lose, repeat, disorder, replace and invent events, and go away: the read models follow the log."""

from __future__ import annotations

import asyncio
import random
from uuid import uuid4

import asyncpg
import pytest
from msgspec.structs import replace

from core.adapters.postgres.connection import Link
from core.adapters.postgres.read_models.shared_store import PostgresSharedReadModels, marks_of
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.shares import PostgresShares
from core.errors import ShareLost
from core.ports.deliveries import TopicMark, TopicPlace
from core.ports.reading import FilledOtherwise
from core.ports.shared_models import SharedChanges, ShareSave
from core.projections import ORDERS
from core.services import fold_shares, topic_watch
from core.services.shares import LEASE
from tests.support.feeds import LogFeed, TopicFeed, as_if_undisturbed, tamper
from tests.support.memory_topics import MemoryTopics
from tests.support.opener import Opener
from tests.support.orders import Sample, contents, write
from tests.support.sharing import Sharer, reached, relayed, running, shares


@pytest.mark.parametrize("seed", range(3))
async def test_any_disorder_repetition_and_loss_gives_the_same_tables(opener: Opener, dsn: str, seed: int) -> None:
    rng = random.Random(seed)
    log = Sample(100, seed=seed, payments=True, open_at_once=rng.choice([3, 60])).events()
    topics = MemoryTopics()
    sharers = [Sharer(opener, topics.client(), f"process {n}") for n in range(rng.choice([1, 3]))]
    async with running(*sharers):
        done = 0
        while done < len(log):
            part = log[done : done + rng.choice([20, 80, 200])]
            done += len(part)
            await write(dsn, part)
            topics.copy_badly(part, rng, lose=rng.choice([0, 0.1, 0.5]))
            topics.copy(rng.sample(log[:done], 10))
            await relayed(dsn, done)
            if rng.random() < 0.3:
                await reached(dsn, done)
        await reached(dsn, done)
    await as_if_undisturbed(opener, dsn)


async def test_a_payment_that_comes_before_its_order_waits_for_it(opener: Opener, dsn: str) -> None:
    log = Sample(30, payments=True).events()
    topics = MemoryTopics()
    await relayed(dsn, 0)
    async with running(Sharer(opener, topics.client(), "process")):
        await reached(dsn, 0)
        await write(dsn, log)
        topics.copy(event for event in log if event.category == "payment")
        while not await some_views(dsn):
            await asyncio.sleep(0.01)
        topics.copy(event for event in log if event.category == "order")
        await relayed(dsn, len(log))
        await reached(dsn, len(log))
    await as_if_undisturbed(opener, dsn)


async def some_views(dsn: str) -> bool:
    return bool((await contents(dsn))["order_views"])


async def test_events_that_the_log_does_not_have_or_that_lie_in_a_wrong_place_are_never_folded(
    opener: Opener, dsn: str
) -> None:
    log = Sample(30, payments=True).events()
    feed = TopicFeed(opener, dsn)
    [created] = [event for event in Sample(31).events() if event.stream.int == (7 << 76) + 31 and event.version == 1]
    async with feed.filling():
        await feed.deliver(log[:50])
        await reached(dsn, 50)
        at = feed.topics.place(log[60])
        forged = [
            created,  # of an order that nobody has placed
            replace(log[10], event_id=uuid4()),
            replace(log[10], version=99),
            replace(log[60], stream=created.stream, correlation_id=created.stream),
        ]
        for event in forged:
            feed.topics.records[feed.topics.place(event)].append(event)
        feed.topics.records[TopicPlace(at.topic, (at.partition + 1) % 4)] += log[50:70]
        await feed.deliver(log[50:])
        await reached(dsn, len(log))
        feed.topics.copy(forged)  # so that they are the last that was read
        while not all(
            mark.next == len(feed.topics.records[place])
            for share in await shares(dsn)
            for place, mark in marks_of(share["offsets"]).items()
        ):
            await asyncio.sleep(0.02)
    await tamper(dsn, "UPDATE product_demand SET units_live = units_live + 1000000")
    async with feed.filling():
        await feed.deliver([replace(created, event_id=uuid4(), position=len(log) + 1)])
        await reached(dsn, len(log) + 1)
    assert all(row["units_live"] > 500_000 for row in (await contents(dsn))["product_demand"]), "they were filled anew"


async def test_topics_that_are_replaced_or_cut_or_keep_too_little_are_noticed(opener: Opener, dsn: str) -> None:
    log = Sample(120, payments=True).events()
    feed = TopicFeed(opener, dsn)
    topics = feed.topics
    async with feed.filling():
        await feed.deliver(log[:100])
        await reached(dsn, 100)
        for place, records in topics.records.items():  # deleted, made again, and filled with what came last
            topics.records[place] = records[-3:]
        await feed.deliver(log[100:150])
        await reached(dsn, 150)
    await write(dsn, log[150:300])
    topics.copy(log[150:300])
    topics.copy(log[250:300])  # so that it is longer than what was read of the one before
    for place, records in topics.records.items():
        topics.records[place] = [*log[:1], *records[5:]]
    await relayed(dsn, 300)
    async with feed.filling():
        await reached(dsn, 300)
    await feed.deliver(log[300:380])
    topics.first = {place: len(records) - 1 for place, records in topics.records.items() if records}
    async with feed.filling():
        await reached(dsn, 380)
        await feed.deliver(log[380:])
        await reached(dsn, len(log))
    await as_if_undisturbed(opener, dsn)


async def test_while_kafka_or_the_relay_is_away_the_events_are_read_from_the_log(
    opener: Opener, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("LATE", 0.3), ("SILENT", 0.3), ("TRY_EVERY", 0.05), ("ASK_EVERY", 0.1)):
        monkeypatch.setattr(topic_watch, name, seconds)
    log = Sample(100, payments=True).events()
    feed = TopicFeed(opener, dsn)
    feed.topics.away = "Kafka cannot be reached"
    [sharer] = [Sharer(opener, feed.topics.client(), "process")]
    async with running(sharer):
        await write(dsn, log[:50])
        await reached(dsn, 50)
        assert sharer.projector.outage == "Kafka cannot be reached"
        feed.topics.copy(log[:50])
        feed.topics.away = ""
        await relayed(dsn, 50)
        await until_outage(sharer, None)
        await write(dsn, log[50:100])  # and the relay is frozen
        await reached(dsn, 100)
        assert "the relay has copied" in str(sharer.projector.outage)
        feed.topics.copy(log[50:100])
        await relayed(dsn, 100)
        await until_outage(sharer, None)
        feed.topics.silent = True
        await feed.deliver(log[100:])
        await reached(dsn, len(log))
        feed.topics.silent = False
        await until_outage(sharer, None)
        feed.topics.away = "Kafka cannot be reached"
        await until_outage(sharer, "Kafka cannot be reached")
    assert sharer.errors == []
    await as_if_undisturbed(opener, dsn)


async def until_outage(sharer: Sharer, outage: str | None) -> None:
    async with asyncio.timeout(20):
        while sharer.projector.outage != outage:
            await asyncio.sleep(0.01)


async def test_a_share_with_too_many_missing_events_is_read_from_the_log(
    opener: Opener, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold_shares, "MOST_MISSING", 3)
    log = Sample(60, payments=True).events()
    feed = TopicFeed(opener, dsn)
    async with feed.filling():
        await feed.deliver(log[:10])
        await reached(dsn, 10)
        await write(dsn, log[10:])
        last = {event.stream: event for event in log}
        feed.topics.copy(last.values())
        await relayed(dsn, len(log))
        await reached(dsn, len(log))
    await as_if_undisturbed(opener, dsn)


async def test_a_process_that_lost_a_share_or_whose_save_was_done_already_saves_nothing(
    opener: Opener, dsn: str
) -> None:
    models, link = PostgresSharedReadModels(opener, ORDERS), Link(opener)
    leases = PostgresShares(link)
    await models.open()
    held = await leases.keep(ORDERS.reader, "ours", count=2, lease=LEASE)
    sums = {
        "daily_sales": {},
        "product_demand": {},
        "customer_summaries": {("ann", "USD"): (1, 5, Sample(1).events()[0].recorded_at)},
    }

    def save(*numbers: int, saves: int = 0) -> SharedChanges:
        mark = {TopicPlace("t", 0): TopicMark(7, uuid4(), 1)}
        return SharedChanges({n: ShareSave(held[n], saves, mark) for n in numbers}, [], sums)

    await models.save(save(0))
    with pytest.raises(ShareLost):
        await models.save(save(0, 1))  # the first is at its second save by now
    await leases.leave(ORDERS.reader, ["ours"])
    taken = await leases.keep(ORDERS.reader, "another", count=2, lease=LEASE)
    with pytest.raises(ShareLost):
        await models.save(save(1))
    with pytest.raises(ShareLost):
        await models.take(held)
    states, _ = await models.take(taken)
    assert [state.saves for state in states.values()] == [1, 0]
    assert [row["orders"] for row in (await contents(dsn))["customer_summaries"]] == [1]
    models.close()
    link.close()


async def test_one_way_of_filling_waits_until_nobody_fills_in_the_other(opener: Opener, dsn: str) -> None:
    models, link = PostgresSharedReadModels(opener, ORDERS), Link(opener)
    leases = PostgresShares(link)
    await leases.keep("projector", "host:1", count=2, lease=LEASE)
    with pytest.raises(FilledOtherwise, match="host:1 fills the read models of orders from the log"):
        await models.open()
    await leases.leave("projector", ["host:1"])
    await models.open()
    await leases.keep(ORDERS.reader, "host:2", count=4, lease=LEASE)
    from_log = LogFeed(opener, dsn)
    async with from_log.filling():
        while not from_log.errors:
            await asyncio.sleep(0.01)
    assert "host:2 fills the read models of orders from Kafka" in str(from_log.errors[0])
    models.close()
    link.close()


@pytest.mark.parametrize("store", [PostgresReadModels, PostgresSharedReadModels])
async def test_a_process_that_opens_empty_read_models_waits_for_nobody_who_has_locks_on_them(
    opener: Opener, dsn: str, store: type[PostgresReadModels | PostgresSharedReadModels]
) -> None:
    """One that saves has such locks, and may wait for the checkpoint that the opening process has locked."""
    other = await asyncpg.connect(dsn)
    models = store(opener, ORDERS)
    async with asyncio.timeout(5), other.transaction():
        for model in ORDERS.models:
            await other.execute(f"LOCK TABLE {model.name} IN ROW EXCLUSIVE MODE")
        await models.open()
    await other.close()
    models.close()


async def test_two_processes_that_save_the_same_sums_at_once_do_not_wait_for_each_other_for_ever(
    opener: Opener, dsn: str
) -> None:
    log = Sample(300, payments=True).events()
    feed = TopicFeed(opener, dsn)
    async with feed.filling(4):
        for n in range(0, len(log), 40):
            await feed.deliver(log[n : n + 40])
        await reached(dsn, len(log))
    assert not [error for error in feed.errors if "deadlock" in str(error)]
    owner = await asyncpg.connect(dsn)
    assert await owner.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    await owner.close()
    await as_if_undisturbed(opener, dsn)
