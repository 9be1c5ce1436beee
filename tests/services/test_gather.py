"""What batches of events change is gathered, and is then the same as if they had been one batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from core.codec import StoredEvent
from core.domain.message import StreamId
from core.errors import EventNotApplied
from core.ports.dead_letters import Parked
from core.ports.reading import Changes
from core.projections import GROUPS, ORDERS
from core.projections.projection import Group
from core.services.fold_events import add_up, fold, read
from core.services.gather import as_one, gathered
from tests.support.orders import Sample

EVENTS = Sample(20, payments=True).events()
LAST = EVENTS[-1].position


def folded(group: Group[Any], size: int, events: Sequence[StoredEvent] = EVENTS) -> list[Changes]:
    """What these events change, in batches of so many."""
    views: dict[StreamId, Any] = {}
    changes: list[Changes] = []
    position = 0
    for first in range(0, len(events), size):
        reads = read(group.projection, events[first : first + size])
        after, sums = add_up(group, views, fold(group.projection, views, reads), reads)
        ordered = sorted(after, key=lambda stream: stream in views)
        new = len(after.keys() - views.keys())
        views.update(after)
        end = events[min(first + size, len(events)) - 1].position
        changes.append(Changes(position, end, [after[stream] for stream in ordered], sums, new=new))
        position = end
    return changes


async def spans(parts: Sequence[Changes | Exception | None], most: int) -> list[tuple[int, int]]:
    """From where to where each of the gathered changes goes. None is a pause before the next."""
    came: list[tuple[int, int]] = []

    async def source() -> AsyncGenerator[Changes]:
        for part in parts:
            if isinstance(part, Exception):
                raise part
            if part is None:
                async with asyncio.timeout(10):  # as long as it takes until what was gathered has come
                    while not came:
                        await asyncio.sleep(0)
            else:
                yield part

    try:
        async with aclosing(gathered(source(), ORDERS, most=most)) as all_:
            async for changes in all_:
                came += [(changes.after, changes.position)]
    except EventNotApplied as error:
        came.append((error.position, error.position))
    return came


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
@pytest.mark.parametrize("size", [1, 7])
def test_gathered_changes_are_those_of_one_batch(group: Group[Any], size: int) -> None:
    [whole] = folded(group, len(EVENTS))
    parts = as_one(group, folded(group, size))
    key = group.projection.key
    assert {getattr(view, key): view for view in parts.views} == {getattr(view, key): view for view in whole.views}
    assert len(parts.views) == len(whole.views)
    assert parts.sums == whole.sums
    assert (parts.after, parts.position, parts.new) == (0, LAST, len(parts.views))


def test_rows_that_are_there_before_come_after_the_new_ones_when_changes_are_gathered() -> None:
    first, *others = folded(ORDERS, len(EVENTS) // 3)
    saved = {view.order_id for view in first.views}
    gathered_rows = as_one(ORDERS, others)
    new = {view.order_id for view in gathered_rows.views[: gathered_rows.new]}
    older = {view.order_id for view in gathered_rows.views[gathered_rows.new :]}
    assert new
    assert older
    assert not new & saved
    assert older <= saved


async def test_changes_are_gathered_until_they_are_of_so_many_events() -> None:
    parts = folded(ORDERS, 5)
    assert await spans(parts, most=LAST) == [(0, LAST)]
    came = await spans(parts, most=12)
    assert [end - begin for begin, end in came[:-1]] == [15] * (len(came) - 1)
    assert await spans(parts, most=0) == [(part.after, part.position) for part in parts]


async def test_what_was_gathered_is_saved_when_no_more_comes_and_before_an_error_is_raised() -> None:
    one, two, three, *_ = folded(ORDERS, 5)
    assert await spans([one, two, None, three], most=LAST) == [(0, 10), (10, 15)]
    bad = EventNotApplied(11, "OrderCreated", "it is damaged")
    assert await spans([one, two, bad], most=LAST) == [(0, 10), (11, 11)]


async def test_changes_with_an_event_that_was_set_aside_are_saved_by_themselves() -> None:
    one, two, three, *_ = folded(ORDERS, 5)
    aside = Parked(EVENTS[6].stream, EVENTS[6], "it is damaged", "f", transient=False)
    two = Changes(two.after, two.position, two.views, two.sums, parked=[aside])
    assert await spans([one, two, three], most=LAST) == [(0, 5), (5, 10), (10, 15)]
