"""Read models come out the same when they are filled from the log and from topics, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from msgspec.structs import replace

from core import tracing
from core.adapters.postgres.generations import PostgresGenerations
from core.adapters.postgres.hints import Hints
from core.adapters.postgres.read_models.shared_store import PostgresSharedReadModels
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.ports.generations import NewGeneration
from core.ports.reading import FilledByNewerRelease
from core.projections import ORDERS
from tests.support.building import build
from tests.support.fake_tracer import FakeTracer, trace
from tests.support.feeds import Feed, LogFeed, TopicFeed, as_if_undisturbed, tamper
from tests.support.opener import Opener
from tests.support.orders import Sample, contents, write
from tests.support.projecting import project
from tests.support.sharing import reached


@pytest.fixture(params=["log", "topics"])
def feed(request: pytest.FixtureRequest, opener: Opener, dsn: str) -> Feed:
    return LogFeed(opener, dsn) if request.param == "log" else TopicFeed(opener, dsn)


async def test_every_event_is_folded_once_also_by_the_next_process_and_by_two_at_once(
    feed: Feed, opener: Opener, dsn: str
) -> None:
    log = Sample(120, payments=True).events()
    await feed.deliver(log[:150])
    async with feed.filling():
        await reached(dsn, 150)
        await feed.deliver(log[150:300])
        await reached(dsn, 300)
    await feed.deliver(log[300:350])
    async with feed.filling(2):
        await reached(dsn, 350)
        for n in range(350, len(log), 17):
            await feed.deliver(log[n : n + 17])
        await reached(dsn, len(log))
    found = await as_if_undisturbed(opener, dsn)
    assert len(found["order_views"]) == 120


async def test_tables_of_an_older_release_are_gone_on_with_and_new_ones_are_asked_for(
    feed: Feed, opener: Opener, dsn: str
) -> None:
    log = Sample(40, payments=True).events()
    await feed.deliver(log[:60])
    async with feed.filling():
        await reached(dsn, 60)
    older = "order_views:1 customer_summaries:2 product_demand:2"  # it had no daily_sales
    await tamper(
        dsn,
        f"UPDATE checkpoints SET revision = '{older}' WHERE reader = '{ORDERS.reader}'",
        "TRUNCATE daily_sales",
    )
    await feed.deliver(log[60:])
    async with feed.filling():
        await reached(dsn, len(log))
    async with feed.filling():
        await reached(dsn, len(log))
    connection = await opener()
    asked = await connection.fetch("SELECT reader, revision, state FROM generations")
    await connection.close()
    assert [tuple(row) for row in asked] == [(ORDERS.reader, ORDERS.revision, "waiting")]
    found = await contents(dsn)
    assert found["daily_sales"] == []
    await tamper(dsn, f"UPDATE checkpoints SET revision = '{ORDERS.revision}', position = 0 WHERE reader LIKE 'proj%'")
    await project(opener, groups=[ORDERS])
    assert found | {"daily_sales": []} == await contents(dsn) | {"daily_sales": []}


async def test_tables_of_a_newer_release_are_left_alone(opener: Opener, dsn: str) -> None:
    log = Sample(3).events()
    await write(dsn, log)
    await project(opener)
    newer = ORDERS.revision.replace("order_views:", "order_views:1")
    await tamper(dsn, f"UPDATE checkpoints SET revision = '{newer}' WHERE reader = '{ORDERS.reader}'")
    before = await contents(dsn)
    for read_models in (PostgresReadModels(opener, ORDERS), PostgresSharedReadModels(opener, ORDERS)):
        with pytest.raises(FilledByNewerRelease, match="a newer release has filled the read models of orders"):
            await read_models.open()
        read_models.close()
    assert await contents(dsn) == before


async def test_an_older_log_has_the_tables_filled_anew(feed: Feed, opener: Opener, dsn: str) -> None:
    log = Sample(40, payments=True).events()
    await feed.deliver(log)
    async with feed.filling():
        await reached(dsn, len(log))
    await tamper(dsn, "ALTER TABLE events DISABLE TRIGGER ALL", "DELETE FROM events WHERE position > 60")
    await tamper(dsn, "UPDATE checkpoints SET position = 60 WHERE reader = 'relay'")
    async with feed.filling():
        await reached(dsn, 60)
        # Other things happen now than those that topics still have.
        begun = {event.stream for event in log[:60]}
        other = [event for event in log[60:] if event.stream in begun or event.category == "order"]
        other = [replace(event, event_id=uuid4(), position=n) for n, event in enumerate(other, start=61)]
        await feed.deliver(other)
        await reached(dsn, other[-1].position)
    await as_if_undisturbed(opener, dsn)


async def test_read_models_go_from_one_way_to_the_other_and_back_and_lose_nothing(opener: Opener, dsn: str) -> None:
    log = Sample(150, payments=True).events()
    topics, from_log = TopicFeed(opener, dsn), LogFeed(opener, dsn)
    ways: list[Feed] = [from_log, topics, from_log, topics, from_log]
    part = len(log) // len(ways) + 1
    for n, way in enumerate(ways):
        events = log[n * part : (n + 1) * part]
        await topics.deliver(events)  # the relay goes on, whoever reads
        async with way.filling():
            await reached(dsn, events[-1].position)
            if way is topics:  # as if one share had not come as far as the others when it was stopped
                await tamper(dsn, f"UPDATE checkpoints SET position = {n * part + 3} WHERE reader = '{ORDERS.reader}'")
    await as_if_undisturbed(opener, dsn)
    assert from_log.errors == []


async def test_new_tables_are_switched_in_twice_while_two_processes_fill_those_that_are_read(
    feed: Feed, opener: Opener, dsn: str
) -> None:
    log = Sample(80, payments=True).events()
    third = len(log) // 3
    generations = PostgresGenerations(opener)
    await feed.deliver(log[:third])
    async with feed.filling(2):
        await reached(dsn, third)
        for begin in (third, 2 * third):
            await tamper(dsn, "UPDATE daily_sales SET orders = orders + 100")
            asked = await generations.request(ORDERS, NewGeneration(purpose="rebuild", requested_by="ada"))
            building = asyncio.create_task(build(opener, generations, ORDERS, asked))
            for n in range(begin, begin + third, 11):
                await feed.deliver(log[n : min(n + 11, begin + third)])
            await building
            live = await generations.read(asked.id)
            assert live is not None
            assert live.state == "live"
        await reached(dsn, 3 * third)
    generations.close()
    await as_if_undisturbed(opener, dsn)


async def test_a_batch_has_a_span_in_the_trace_of_each_order_that_ends_when_its_rows_are_saved(
    feed: Feed, dsn: str
) -> None:
    log = [replace(event, recorded_at=datetime.now(UTC)) for event in Sample(20, payments=True).events()]
    traced = {2: trace(1), 5: trace(2), 9: trace(1)}
    for n, traceparent in traced.items():
        metadata = f'{{"traceparent": "{traceparent}", "correlation_id": "{log[n].correlation_id}"}}'
        log[n] = replace(log[n], metadata=metadata)
    tracing.use(tracer := FakeTracer())
    await feed.deliver(log[:1])
    async with feed.filling():
        await reached(dsn, log[0].position)  # so that what comes now comes from the topics
        await feed.deliver(log[1:])
        await reached(dsn, log[-1].position)
    assert {span.parent for span in tracer.spans} == {trace(1), trace(2)}
    assert all(span.ended and span.name == "project orders" for span in tracer.spans)


async def test_who_waits_for_a_notification_stops_as_soon_as_told_to(opener: Opener) -> None:
    hints, stop = Hints(opener, "events"), asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, stop.set)
    async with asyncio.timeout(10):
        await hints.wait(hints.coming(), at_most=60, stop=stop)
