"""Dead letters: an event that cannot be applied keeps back its own row only, until it can be applied or is skipped."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from core.adapters.postgres.read_models.store import PostgresReadModels
from core.codec import StoredEvent
from core.errors import EventNotApplied
from core.ports.dead_letters import MOST_BLOCKED
from core.projections import ORDERS
from core.projections.order_view import ORDER_VIEW
from core.projections.product_demand import PRODUCT_DEMAND
from core.services import catch_up_row
from core.services.set_aside import parked
from tests.support.feeds import Feed, LogFeed, TopicFeed, as_if_undisturbed, tamper
from tests.support.opener import Opener
from tests.support.orders import Sample, contents, write
from tests.support.projecting import project_group
from tests.support.sharing import reached

BROKEN: dict[str, dict[str, Any]] = {
    "a version that this release does not know": {"schema_version": 99},
    "a payload without its fields": {"payload": "{}"},
    "a payload that is no object": {"payload": "[1, 2]"},
}


@pytest.fixture(params=["log", "topics"])
def feed(request: pytest.FixtureRequest, opener: Opener, dsn: str) -> Feed:
    return LogFeed(opener, dsn) if request.param == "log" else TopicFeed(opener, dsn)


async def rows(dsn: str, query: str, *values: Any) -> list[asyncpg.Record]:
    owner = await asyncpg.connect(dsn)
    try:
        return await owner.fetch(query, *values)
    finally:
        await owner.close()


async def letters(dsn: str) -> list[asyncpg.Record]:
    return await rows(dsn, "SELECT * FROM dead_letters ORDER BY position")


async def until_letters(dsn: str, wanted: int, condition: str = "true") -> list[asyncpg.Record]:
    async with asyncio.timeout(15):
        while len(found := await rows(dsn, f"SELECT * FROM dead_letters WHERE {condition}")) != wanted:
            await asyncio.sleep(0.02)
    return found


async def mend(dsn: str, *events: StoredEvent) -> None:
    owner = await asyncpg.connect(dsn)
    await owner.execute("ALTER TABLE events DISABLE TRIGGER ALL")
    for event in events:
        await owner.execute(
            "UPDATE events SET payload = $2::text::jsonb, schema_version = $3 WHERE position = $1",
            event.position, event.payload, event.schema_version,
        )  # fmt: skip
    await owner.close()


async def test_later_events_of_its_row_wait_for_days_and_over_restarts_and_all_others_are_folded(
    feed: Feed, opener: Opener, dsn: str
) -> None:
    log = list(Sample(60, payments=True).events())
    names = ("OrderConfirmed", "PaymentAuthorized", "OrderCreated")
    bad = [next(e for e in log[60:] if e.event_type == name) for name in names]
    assert len({e.correlation_id for e in bad}) == 3
    how = dict(zip([e.position for e in bad], BROKEN.values(), strict=True))
    sent = [replace(e, **how.get(e.position, {})) for e in log]
    await feed.deliver(sent[:120])
    async with feed.filling(2):
        await reached(dsn, 120)
    await feed.deliver(sent[120:])
    if isinstance(feed, TopicFeed):
        feed.topics.copy(sent[80:])  # again, among them those that wait
    async with feed.filling(2):
        await reached(dsn, len(log))
    found = await letters(dsn)
    assert [(f["position"], f["row_stream"], f["tries"], f["retry_at"]) for f in found] == [
        (e.position, e.correlation_id, 1, None) for e in sorted(bad, key=lambda e: e.position)
    ]
    assert "OrderConfirmed in schema 99" in next(f["error"] for f in found if f["event_type"] == "OrderConfirmed")
    views = {row["order_id"]: row for row in (await contents(dsn))["order_views"]}
    assert views.keys() == {e.stream for e in log if e.category == "order"} - {bad[2].stream}
    assert views[bad[0].stream]["version"] == bad[0].version - 1
    assert views[bad[1].correlation_id]["payment_version"] == 0

    await mend(dsn, *(log[e.position - 1] for e in bad))
    async with feed.filling():
        await tamper(dsn, "UPDATE dead_letters SET retry_at = now()")
        await until_letters(dsn, 0)
        await reached(dsn, len(log))
    assert not any(isinstance(error, EventNotApplied) for error in feed.errors)
    await as_if_undisturbed(opener, dsn)


async def test_an_event_that_still_fails_is_counted_and_one_that_fails_behind_it_takes_its_place(
    feed: Feed, dsn: str
) -> None:
    log = list(Sample(5, payments=True).events())
    order = next(e.stream for e in log if e.event_type == "OrderShipped")
    of_order = [e for e in log if e.stream == order]
    bad = {of_order[1].position, of_order[2].position}
    await feed.deliver([replace(e, payload="{}") if e.position in bad else e for e in log])
    async with feed.filling():
        await reached(dsn, len(log))
        await tamper(dsn, "UPDATE dead_letters SET retry_at = now()")
        await until_letters(dsn, 1, "tries = 2 AND retry_at IS NULL")
        await mend(dsn, of_order[1])
        await tamper(dsn, "UPDATE dead_letters SET retry_at = now()")
        [letter] = await until_letters(dsn, 1, f"position = {of_order[2].position}")
        assert letter["tries"] == 1
        [row] = await rows(dsn, "SELECT version FROM order_views WHERE order_id = $1", order)
        assert row["version"] == of_order[1].version


async def test_a_fold_that_fails_only_for_a_while_is_tried_again_without_anybody(opener: Opener, dsn: str) -> None:
    log = list(Sample(20).events())
    tries = {"left": 3}

    def moody(view: Any, event: Any, at: Any) -> Any:
        if type(event).__name__ == "OrderShipped" and tries["left"]:
            tries["left"] -= 1
            raise OSError("no memory now")
        return ORDER_VIEW.evolve(view, event, at)

    group = dataclasses.replace(ORDERS, projection=dataclasses.replace(ORDER_VIEW, evolve=moody))
    await write(dsn, log)
    read_models = PostgresReadModels(opener, group)
    await project_group(opener, group, read_models)
    assert [f["error"] for f in await letters(dsn)] == ["OSError: no memory now"] * min(3, len(await letters(dsn)))
    feed = LogFeed(opener, dsn)
    async with feed.filling():
        await until_letters(dsn, 0)
    read_models.close()
    await as_if_undisturbed(opener, dsn)


async def test_what_the_sums_or_the_database_cannot_take_is_set_aside_too(feed: Feed, opener: Opener, dsn: str) -> None:
    log = list(Sample(30, payments=True).events())
    huge = next(e for e in log[30:] if e.event_type == "OrderCreated")
    payload = re.sub('"quantity":[0-9]+', '"quantity":' + "9" * 30, huge.payload)
    assert payload != huge.payload
    await feed.deliver([replace(e, payload=payload) if e is huge else e for e in log])
    async with feed.filling():
        await reached(dsn, len(log))
        [letter] = await letters(dsn)
        assert (letter["position"], letter["retry_at"]) == (huge.position, None)
        assert "refused values" in letter["error"]
        await tamper(dsn, "UPDATE dead_letters SET retry_at = now()")
        await until_letters(dsn, 1, "tries = 2")
        await mend(dsn, huge)
        await tamper(dsn, "UPDATE dead_letters SET retry_at = now()")
        await until_letters(dsn, 0)
    await as_if_undisturbed(opener, dsn)


async def test_a_change_that_cannot_be_added_up_is_set_aside(opener: Opener, dsn: str) -> None:
    log = list(Sample(10).events())

    def broken(before: Any, after: Any) -> Any:
        if after.order_id == log[0].stream:
            raise ZeroDivisionError
        return PRODUCT_DEMAND.change(before, after)

    sums = tuple(dataclasses.replace(one, change=broken) if one is PRODUCT_DEMAND else one for one in ORDERS.sums)
    await write(dsn, log)
    read_models = PostgresReadModels(opener, dataclasses.replace(ORDERS, sums=sums))
    await project_group(opener, dataclasses.replace(ORDERS, sums=sums), read_models)
    read_models.close()
    assert [(f["position"], f["error"]) for f in await letters(dsn)] == [(1, "ZeroDivisionError: ")]


async def test_a_skipped_event_is_left_out_also_when_the_tables_are_filled_anew(
    feed: Feed, opener: Opener, dsn: str
) -> None:
    log = list(Sample(20, payments=True).events())
    bad = next(e for e in log if e.event_type == "OrderConfirmed")
    await feed.deliver([replace(e, schema_version=99) if e is bad else e for e in log])
    async with feed.filling():
        await reached(dsn, len(log))
        await tamper(
            dsn,
            "INSERT INTO skipped_events (reader, event_id, position, row_stream, by, reason) "
            "SELECT reader, event_id, position, row_stream, 'ada', 'never happened' FROM dead_letters",
            "UPDATE dead_letters SET retry_at = now()",
        )
        await until_letters(dsn, 0)
    [row] = await rows(dsn, "SELECT version, status FROM order_views WHERE order_id = $1", bad.stream)
    assert row["version"] == max(e.version for e in log if e.stream == bad.stream)
    await as_if_undisturbed(opener, dsn)
    assert await letters(dsn) == []


async def test_with_one_row_too_many_the_whole_reader_stops_until_some_wait_no_longer(
    feed: Feed, opener: Opener, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up_row, "LISTEN", 0.1)
    log = list(Sample(80).events())
    created = [e for e in log if e.event_type == "OrderCreated"]
    bad = {e.position for e in created[: MOST_BLOCKED + 2]}
    sent = [replace(e, payload="{}") if e.position in bad else e for e in log]
    half = created[MOST_BLOCKED + 2].position
    await feed.deliver(sent[:half])
    async with feed.filling():
        await until_letters(dsn, MOST_BLOCKED + 1)
        await until_stopped(feed)
    before = await contents(dsn)
    await feed.deliver(sent[half:])
    async with feed.filling(2):
        await until_stopped(feed, times=6)
        assert await contents(dsn) == before
        assert "behind more than 50 the reader stops" in str(feed.errors[-1])
        await mend(dsn, *(log[position - 1] for position in bad))
        await tamper(dsn, "UPDATE dead_letters SET retry_at = now()")
        await until_letters(dsn, 0)
        await reached(dsn, len(log))
    await as_if_undisturbed(opener, dsn)


async def test_a_process_that_has_set_nothing_aside_stops_too_when_others_have_set_too_much_aside(
    feed: Feed, opener: Opener, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up_row, "COUNT_EVERY", 1)
    log = list(Sample(20).events())
    await feed.deliver(log[:40])
    async with feed.filling():
        await reached(dsn, 40)
        await tamper(dsn, OF_OTHERS)
        await until_stopped(feed)
        before = await contents(dsn)
        await feed.deliver(log[40:])
        await until_stopped(feed, times=2)
        assert await contents(dsn) == before
        await tamper(dsn, "DELETE FROM dead_letters")
        await reached(dsn, len(log))
    await as_if_undisturbed(opener, dsn)


OF_OTHERS = f"""
INSERT INTO dead_letters (reader, id, row_stream, category, event_id, stream_id, version, position, event_type,
                          schema_version, correlation_id, error, fingerprint)
SELECT 'projector.orders', gen_random_uuid(), gen_random_uuid(), category, event_id, stream_id, version, position,
       event_type, schema_version, correlation_id, 'error', 'cause'
  FROM events, generate_series(1, {MOST_BLOCKED + 1}) WHERE position = 1
"""


async def until_stopped(feed: Feed, times: int = 1) -> None:
    """Wait until the reader has said so often, with all its processes together, that it stops."""
    async with asyncio.timeout(15):
        while sum("the reader stops" in str(error) for error in feed.errors) < times:
            await asyncio.sleep(0.02)


def test_causes_that_differ_in_ids_and_values_only_have_one_fingerprint() -> None:
    [one, two, *_] = (e for e in Sample(5).events() if e.event_type == "OrderCreated")
    same = [parked(e.stream, e, ValueError(f"no {e.stream} at {e.position}")).fingerprint for e in (one, two)]
    assert same[0] == same[1]
    assert parked(one.stream, one, ValueError("other")).fingerprint != same[0]
