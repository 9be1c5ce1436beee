"""Catch up a row: try the event again behind which a row waits, and then fold all that has waited behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from uuid import UUID

from core.domain.message import StreamId
from core.errors import EventNotApplied, OrderdeckError, ValuesRefused
from core.pace import together
from core.ports.dead_letters import MOST_BLOCKED, Aside, KeepsDeadLetters, Parked, RowModels
from core.projections.projection import Amounts, Group, RowKey
from core.services.fold_events import Read, Views, add_up, fold, read
from core.services.set_aside import SetAside

PAGE = 1_000  # events that are in memory at once
LOOK_EVERY = 0.2  # seconds between looks whether an event is to be tried again, while there are any
SELDOM = 1.0  # seconds between looks while there are none
COUNT_EVERY = 5  # looks between two counts of all rows that wait, also of those that other processes have set aside
LISTEN = 1.0  # seconds in which a reader that stops looks for what is to be tried again, before it says that it stops


class CaughtUp(NamedTuple):
    """What a row comes to. `parked` is the event behind which it waits now; None: it waits no longer.

    `applied` counts the events that were folded.
    """

    views: Views
    sums: Mapping[str, Mapping[RowKey, Amounts]]
    parked: Parked | None
    applied: int


async def catch_up_row(group: Group[Any], models: RowModels, row: StreamId, skipped: frozenset[UUID]) -> CaughtUp:
    """Fold the events of a row that its view lacks, in the order of the log, up to one that cannot be applied."""
    projection = group.projection
    before = await models.load([row])
    saved = before.get(row)
    versions = {s.category: 0 if saved is None else getattr(saved, s.version) for s in projection.sources}
    aside, views, first, applied = SetAside((), skipped), dict(before), list[Read](), 0
    while not aside.parked:
        page = await models.events_of_row(row, versions, limit=PAGE)
        reads = read(projection, page)
        first = first or list(reads[:1])
        views.update(fold(projection, views, reads, aside))
        folded = [stored for _, _, stored, _ in reads if not _waits(aside, row, stored.position)]
        versions |= {stored.category: stored.version for stored in folded}
        applied += len(folded)
        if len(page) < PAGE:
            break
    changed = {row: view for row, view in views.items() if view is not saved}
    after, sums = add_up(group, before, changed, first, aside)
    return CaughtUp(after, sums, aside.parked.get(row), applied if after else 0)


def _waits(aside: SetAside, row: StreamId, position: int) -> bool:
    parked = aside.parked.get(row)
    return parked is not None and position >= parked.event.position


async def catch_up_rows(
    group: Group[Any],
    models: RowModels,
    rows: Collection[StreamId],
    skipped: frozenset[UUID],
    save: Callable[[StreamId, CaughtUp | ValuesRefused], Awaitable[None]],
) -> None:
    """Catch up those of the rows whose time has come. `save` gets the error if the database refused what it saved."""
    for row in set(await models.due()).intersection(rows):
        try:
            await save(row, await catch_up_row(group, models, row, skipped))
        except ValuesRefused as error:
            await save(row, error)


async def stop_if_too_many(models: KeepsDeadLetters, aside: Aside, rows: Collection[StreamId]) -> bool:
    """Raise EventNotApplied if so many rows wait that the reader stops. Returns True if one of `rows` is due."""
    blocked = aside.blocked
    if len(blocked) <= MOST_BLOCKED:
        return False
    until = time.monotonic() + LISTEN
    while set(rows).isdisjoint(await models.due()):
        if time.monotonic() > until:
            last = max(blocked.values(), key=lambda event: event.position)
            why = f"it is one of {len(blocked)} such events, and behind more than {MOST_BLOCKED} the reader stops"
            raise EventNotApplied(last.position, last.event_type, why)
        await asyncio.sleep(LOOK_EVERY)
    return True


@asynccontextmanager
async def until_due(
    models: KeepsDeadLetters,
    rows: Collection[StreamId],
    stop: asyncio.Event,
    other: asyncio.Future[None] | None = None,
) -> AsyncGenerator[asyncio.Event]:
    """An event that is set with `stop`, when `other` ends, or when one of these rows is to be tried again.

    It is also set when so many rows of the reader wait that it stops, whichever process has set them aside.
    """
    over = asyncio.Event()
    if other is not None:
        other.add_done_callback(lambda _: over.set())

    async def watch() -> None:
        looks = 0
        while not over.is_set():
            looks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY if rows else together(SELDOM))
                over.set()
            with suppress(OrderdeckError):  # whoever reads the log will meet it too
                if rows and not set(rows).isdisjoint(await models.due()):
                    over.set()
                if looks % COUNT_EVERY == 0 and len((await models.aside()).blocked) > MOST_BLOCKED:
                    over.set()

    watching = asyncio.create_task(watch())
    try:
        yield over
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
