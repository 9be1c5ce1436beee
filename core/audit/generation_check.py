"""Compares a generation of read models with a fold of the log, before everybody reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.domain.message import StreamId
from core.ports.dead_letters import Aside
from core.ports.generation_rows import GenerationRows
from core.projections.projection import Amounts, Group, RowKey, plus, total
from core.services.fold_events import fold, read
from core.services.set_aside import SetAside

SAMPLE = 2_000  # events that are chosen by chance; their streams are compared
FOLDED = 20_000  # events that these streams may have together, since the stream of a SKU may have a million
TOGETHER = 500  # streams


async def differs(rows: GenerationRows, group: Group[Any], *, all_: bool) -> str:
    """What a generation has otherwise than the log gives it, of all its rows or of a sample; '' if nothing."""
    aside = await rows.aside()
    if not all_:
        sample = short_enough(await rows.some_streams(SAMPLE))
        for first in range(0, len(sample), TOGETHER):
            wrong, _ = await _compare(rows, group, sample[first : first + TOGETHER], aside)
            if wrong:
                return wrong
        return ""
    sums: dict[str, dict[RowKey, Amounts]] = {one.name: {} for one in group.sums}
    seen, after = 0, 0
    while after < rows.position:
        streams, after = await rows.streams(after=after, limit=TOGETHER)
        wrong, given = await _compare(rows, group, streams, aside)
        if wrong:
            return wrong
        seen += len(given)
        for one in group.sums:
            _add(sums[one.name], total(change for view in given.values() for change in one.change(None, view)))
    if (count := await rows.count()) != seen:
        return f"{group.projection.name} has {count} rows, and the log gives {seen}"
    for one in group.sums:
        if wrong := _first_difference(one.name, await rows.sums(one), sums[one.name]):
            return wrong
    return ""


def short_enough(sample: Sequence[tuple[StreamId, int]]) -> Sequence[StreamId]:
    """The first of these streams, and of the others those that do not make too many events together."""
    chosen: list[StreamId] = []
    events = 0
    for stream, length in sample:
        if not chosen or events + length <= FOLDED:
            chosen.append(stream)
            events += length
    return chosen


async def _compare(
    rows: GenerationRows, group: Group[Any], streams: Sequence[StreamId], aside: Aside
) -> tuple[str, Mapping[StreamId, Any]]:
    """What differs, and the views that the log gives. A row that waits behind an event is taken as it is."""
    given: dict[StreamId, Any] = {}
    leaves_out = SetAside(aside.blocked, aside.skipped)
    async for events in rows.events(streams):
        given.update(fold(group.projection, given, read(group.projection, events), leaves_out))
    there = await rows.views(streams)
    given.update({row: view for row, view in there.items() if row in aside.blocked})
    return _first_difference(group.projection.name, there, given), given


def _first_difference(name: str, there: Mapping[Any, Any], given: Mapping[Any, Any]) -> str:
    for key in [*given, *(key for key in there if key not in given)]:
        if there.get(key) != given.get(key):
            shown = str(key).strip("()")
            if key not in there:
                return f"{name} has no row for {shown}, and the log gives one"
            if key not in given:
                return f"{name} has a row for {shown}, and the log gives none"
            return f"the row of {name} for {shown} is not what the log gives: {there[key]} and not {given[key]}"[:600]
    return ""


def _add(sums: dict[RowKey, Amounts], changes: Mapping[RowKey, Amounts]) -> None:
    for key, amounts in changes.items():
        sums[key] = plus([sums[key], amounts]) if key in sums else amounts
