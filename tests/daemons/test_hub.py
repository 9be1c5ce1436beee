"""The hub of the live stream: its ring, and a follower that runs while anyone reads and no longer."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.subscription import PostgresSubscription
from daemons.query_api.frames import Filter, Frame, FrameRing
from daemons.query_api.hub import Hub
from tests.support.opener import Opener


def frames(first: int, last: int) -> list[Frame]:
    return [Frame(position, "order", "OrderCreated", b"") for position in range(first, last + 1)]


@pytest.mark.parametrize("first", [1, 8])
@pytest.mark.parametrize("count", [1, 4, 5, 6, 12])
def test_the_ring_gives_the_events_after_any_position_that_it_still_holds(first: int, count: int) -> None:
    ring = FrameRing(5)
    assert not ring.holds(first)
    added = frames(first, first + count - 1)
    for frame in added:
        ring.add(frame)
    held = added[-5:]
    for position in range(first, first + count):
        assert ring.holds(position) == (position >= held[0].position)
        if ring.holds(position):
            expected = [frame for frame in held if frame.position >= position]
            for most in (1, 2, 3, 100):
                assert ring.after(position - 1, most) == expected[:most]


class SlowStart:
    """A log whose head is not answered before it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.waiting = asyncio.Event()

    async def head(self) -> int:
        self.waiting.set()
        await self.let.wait()
        return 0


async def test_a_reader_that_leaves_while_it_joins_leaves_no_follower_running(
    opener: Opener, store: PostgresEventStore
) -> None:
    log: Any = SlowStart()

    async def nothing(_: int, __: Filter, ___: int) -> list[Any]:
        return []

    hub = Hub(log, lambda: PostgresSubscription(opener), nothing)
    first = asyncio.ensure_future(anext(hub.stream(0, Filter(), skip=False)))
    await log.waiting.wait()
    first.cancel()
    await asyncio.wait([first])
    log.let.set()
    before = asyncio.all_tasks()
    async with aclosing(hub.stream(0, Filter(), skip=False)) as second:
        assert await anext(second) == b": from 0\n\n"
        assert asyncio.all_tasks() > before, "it follows"
    assert asyncio.all_tasks() == before, "nobody reads, so nobody follows"
