"""Gathers what batches of events change, so that it is saved together.

Events are read and folded in small batches, so that little is held at once. But each save costs something by itself,
and a row that several batches change is then written only once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, TypeVar

from core.ports.reading import Changes
from core.projections.projection import Group, total

BATCH = 2_000  # events that are read and folded at once
SOON = 0.05  # seconds that changes wait for more

T = TypeVar("T")


async def ahead(batches: AsyncIterator[T]) -> AsyncGenerator[T]:
    """Yield the batches, and read the next one while the caller works on the last."""
    next_batch = asyncio.ensure_future(anext(batches, None))
    try:
        while (batch := await next_batch) is not None:
            next_batch = asyncio.ensure_future(anext(batches, None))
            yield batch
    finally:
        next_batch.cancel()
        await asyncio.gather(next_batch, return_exceptions=True)


async def gathered(all_changes: AsyncIterator[Changes], group: Group[Any], *, most: int) -> AsyncGenerator[Changes]:
    """Yield the changes of at least `most` events together, or of fewer when no more come soon.

    Events that were set aside end what is gathered. If reading on fails, what was gathered before comes first.
    """
    upcoming = asyncio.ensure_future(anext(all_changes, None))
    kept: list[Changes] = []
    try:
        while True:
            if kept:
                full = kept[-1].position - kept[0].after >= most
                if not full:
                    await asyncio.wait([upcoming], timeout=SOON)
                if full or not _goes_with(kept[-1], upcoming):
                    yield as_one(group, kept)
                    kept = []
            if (changes := await upcoming) is None:
                return
            upcoming = asyncio.ensure_future(anext(all_changes, None))
            kept.append(changes)
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)


def _goes_with(last: Changes, upcoming: asyncio.Future[Changes | None]) -> bool:
    if not upcoming.done() or upcoming.exception() is not None:
        return False
    changes = upcoming.result()
    return changes is not None and not (last.parked or changes.parked)


def as_one(group: Group[Any], parts: Sequence[Changes]) -> Changes:
    """Changes that follow right after each other, as one. Several of them have no events that were set aside."""
    first, last = parts[0], parts[-1]
    if first is last:
        return first
    key = attrgetter(group.projection.key)
    changed = {key(view): view for part in parts for view in part.views[part.new :]}
    new = [changed.pop(key(view), view) for part in parts for view in part.views[: part.new]]
    names = [one.name for one in group.sums]
    sums = {name: total(chain.from_iterable(part.sums[name].items() for part in parts)) for name in names}
    return Changes(first.after, last.position, [*new, *changed.values()], sums, new=len(new))
