"""Reads pages of the log from the query API and keeps the events that fit a filter; each reading has an end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct

from tui.gateway import Gateway, ServiceRefused
from tui.viewmodels.event_filter import EventFilter
from tui.viewmodels.ring import RingFrame
from tui.wire import Count, Unreadable, read_json

PATH = "/api/v1/events"
PAGE = 200  # events that are asked for when all of them belong in the list
SEARCHED_PAGE = 400  # events that are asked for at once when the deck picks some of them
MOST_SEARCHED = 10_000  # events that one reading looks through at most


class LogPage(Struct, frozen=True):
    events: list[msgspec.Raw]
    next_after: Count = 0
    next_before: Count = 0
    head: Count = 0


class _Head(Struct, frozen=True):
    position: Count
    event_type: str


_heads = msgspec.json.Decoder(_Head)


class Found(NamedTuple):
    """The events that fit, in the order of the log, and the positions from which and up to which it was looked at."""

    frames: Sequence[RingFrame]
    low: int
    high: int
    searched: int  # events that the deck looked through


async def read_after(gateway: Gateway, choice: EventFilter, after: int, *, wanted: int = PAGE) -> Found:
    """The first events after a position. Raises GatewayError."""
    frames, searched, high = list[RingFrame](), 0, after
    while len(frames) < wanted and searched < MOST_SEARCHED:
        page = await _page(gateway, choice, {"after": str(high)})
        read = _frames(page, high, 2**63)
        frames += filter(choice.takes, read)
        searched += len(read)
        if len(read) < _limit(choice):
            high = max(high, page.next_after)
            break
        high = read[-1].position
    return Found(frames, after + 1, high, searched)


async def read_before(gateway: Gateway, choice: EventFilter, before: int, *, wanted: int = PAGE) -> Found:
    """The last events before a position. Raises GatewayError."""
    frames, searched, low = list[RingFrame](), 0, before
    while len(frames) < wanted and searched < MOST_SEARCHED and low > 1:
        page = await _page(gateway, choice, {"before": str(low)})
        read = _frames(page, 0, low)
        frames[:0] = filter(choice.takes, read)
        searched += len(read)
        low = read[0].position if len(read) >= _limit(choice) else 1
    return Found(frames, low, before - 1, searched)


async def read_event(gateway: Gateway, position: int) -> RingFrame:
    """The event at a position. Raises GatewayError."""
    page = await gateway.read(PATH, LogPage, {"after": str(position - 1), "limit": "1"})
    read = _frames(page, position - 1, 2**63)
    if not read or read[0].position != position:
        raise ServiceRefused(404, "not_found", f"the log has no event at position {position:,}")
    return read[0]


async def position_at(gateway: Gateway, moment: str) -> int:
    """The position of the first event at a time of ISO 8601, or after it. Raises GatewayError."""
    page = await gateway.read(PATH, LogPage, {"at": moment, "limit": "1"})
    return page.next_before


def _limit(choice: EventFilter) -> int:
    return SEARCHED_PAGE if choice.searches else PAGE


async def _page(gateway: Gateway, choice: EventFilter, start: dict[str, str]) -> LogPage:
    return await gateway.read(PATH, LogPage, {**choice.params(), **start, "limit": str(_limit(choice))})


def _frames(page: LogPage, after: int, before: int) -> list[RingFrame]:
    """The page's events; refused when they are not between the two positions and in order, so no reading is endless."""
    try:
        heads = [read_json(raw, _heads) for raw in page.events]
    except Unreadable as error:
        raise _unreadable(str(error)) from error
    for head in heads:
        if not after < head.position < before:
            raise _unreadable(f"an event at position {head.position:,}, which was not asked for")
        after = head.position
    return [RingFrame(h.position, h.event_type[:100], bytes(raw)) for h, raw in zip(heads, page.events, strict=True)]


def _unreadable(why: str) -> ServiceRefused:
    return ServiceRefused(200, "unreadable", f"a page of the log that this deck cannot read: {why}")
