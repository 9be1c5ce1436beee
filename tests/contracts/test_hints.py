"""A reader is woken by a notification, but not while it finds something each time it looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.hints import IN_VAIN, STEADY, Hints
from core.adapters.postgres.subscription import PostgresSubscription
from core.errors import Unavailable
from tests.support.log import append, entry, stream
from tests.support.opener import Opener

LISTENS = "SELECT count(*) FROM pg_listening_channels()"


@pytest.fixture
async def hints(opener: Opener) -> AsyncIterator[Hints]:
    hints = Hints(opener, "events")
    yield hints
    hints.close()


async def listens(hints: Hints) -> bool:
    """Look at what is recorded, as a reader does; whether it listened then."""
    return bool(await hints.run(lambda c: c.fetchval(LISTENS)))


async def found_nothing(hints: Hints) -> None:
    coming = hints.coming()
    await listens(hints)
    await hints.wait(coming, at_most=0.001)


async def test_who_finds_something_each_time_does_not_listen_until_nothing_comes(
    hints: Hints, admin: Connection
) -> None:
    assert [await listens(hints) for _ in range(STEADY + 1)] == [True] * STEADY + [False]
    for _ in range(IN_VAIN - 1):
        await found_nothing(hints)
        assert hints.by_the_clock
    await found_nothing(hints)
    assert await listens(hints)
    waiting = asyncio.create_task(hints.wait(hints.coming(), at_most=60))
    await admin.execute("NOTIFY events")
    async with asyncio.timeout(5):
        await waiting


async def test_one_that_has_to_wait_now_and_then_listens_all_the_time(hints: Hints) -> None:
    for _ in range(STEADY):
        await found_nothing(hints)
        assert await listens(hints)


async def test_looks_that_find_something_between_count_for_one_that_listens_again(hints: Hints) -> None:
    for _ in range(STEADY + 1):
        await listens(hints)
    for _ in range(2 * IN_VAIN):
        await found_nothing(hints)
        await listens(hints)
    assert hints.by_the_clock


async def test_a_new_connection_listens(hints: Hints, admin: Connection) -> None:
    for _ in range(STEADY + 1):
        await listens(hints)
    pid = await hints.run(lambda c: c.fetchval("SELECT pg_backend_pid()"))
    await found_nothing(hints)
    await admin.execute("SELECT pg_terminate_backend($1)", pid)
    assert await listens(hints)
    assert not hints.by_the_clock


async def test_who_cannot_listen_again_lets_others_have_a_turn_before_the_next_try() -> None:
    async def away() -> Connection:
        raise Unavailable("the database is away")

    hints = Hints(away, "events")
    hints.by_the_clock = True

    async def look_again_and_again() -> None:
        for _ in range(1_000):
            await hints.wait(hints.coming(), at_most=1)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(look_again_and_again(), 0.05)


async def test_what_comes_during_the_pause_of_a_reader_is_one_batch(opener: Opener, store: PostgresEventStore) -> None:
    batches = PostgresSubscription(opener).batches(asyncio.Event(), after=0, limit=100, pause=0.3)
    async with aclosing(batches):
        await store.append(append(entry(stream())))
        assert len(await anext(batches)) == 1
        reading = asyncio.ensure_future(anext(batches))
        for _ in range(8):
            await store.append(append(entry(stream())))
        assert len(await reading) == 8
