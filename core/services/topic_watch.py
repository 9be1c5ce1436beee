"""Watches the topics: up to which position of the log they have been read, and whether they still deliver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from core.errors import LogShorter
from core.ports.deliveries import PlacesLost, TopicMark, TopicPlace, Topics, TopicsAway
from core.ports.shared_models import SharedReadModels

BUSY = 0.1  # seconds between two looks while events come
QUIET = 0.25  # seconds between two looks while no events come
ASK_EVERY = 3.0  # seconds between two questions to Kafka while no events come
SILENT = 5.0  # seconds without an event from Kafka, while it has some, after which it counts as away
LATE = 5.0  # seconds in which the relay has copied nothing, while there are events, after which Kafka counts as away
TRY_EVERY = 1.0  # seconds between two tries whether Kafka is back


class Pulse:
    """Wakes whoever waits for the next beat."""

    def __init__(self) -> None:
        self._next = asyncio.Event()
        self.at = time.monotonic()

    def beat(self) -> None:
        self.at = time.monotonic()
        before, self._next = self._next, asyncio.Event()
        before.set()

    async def wait(self, seconds: float) -> None:
        """Return at the next beat, at the latest after so many seconds."""
        await asyncio.wait([waiting := asyncio.ensure_future(self._next.wait())], timeout=seconds)
        waiting.cancel()


class Reading(Protocol):
    """What is read at present: the shares, the marks that are saved, and the shares that stay where they are."""

    held: Mapping[int, int]
    positions: dict[int, int]
    marks: dict[TopicPlace, TopicMark]
    progress: Pulse

    @property
    def stuck(self) -> Collection[int]: ...
    def places_of(self, shares: Collection[int]) -> Sequence[TopicPlace]: ...
    async def reach(self, positions: Mapping[int, int]) -> None: ...


async def reach_positions(reading: Reading, topics: Topics, models: SharedReadModels, stop: asyncio.Event) -> None:
    """Note how far the shares have come, until `stop` is set.

    The relay's position is read first and the ends of the places after it, so every event up to that position is before
    these ends. A share that has been read up to them therefore has every event up to that position.
    Raises TopicsAway when Kafka does not deliver, PlacesLost when a place ends before what was read of it, and
    LogShorter when the log does.
    """
    relayed, moved_at, asked_at = -1, time.monotonic(), time.monotonic()
    while not stop.is_set():
        standing = await models.standing()
        now = time.monotonic()
        if standing.head < (highest := max(reading.positions.values())):
            raise LogShorter(highest, standing.head)
        if standing.relayed != relayed or standing.relayed >= standing.head:
            relayed, moved_at = standing.relayed, now
        elif now - moved_at > LATE:
            raise TopicsAway(f"the relay has copied no event to Kafka for {now - moved_at:.0f} s")
        behind = [n for n in reading.held if n not in reading.stuck and reading.positions[n] < relayed]
        if behind or now - asked_at > ASK_EVERY:
            asked_at = now
            before = dict(reading.marks)
            ends = await topics.ends(reading.places_of(reading.held))
            if cut := [place for place, mark in before.items() if mark.next > ends[place]]:
                raise PlacesLost(cut, "a topic ends before what was read of it")
            await _read_up_to(ends, reading)
            await reading.reach({number: relayed for number in behind if number not in reading.stuck})
        await asyncio.sleep(BUSY)
        if time.monotonic() - reading.progress.at > 5 * BUSY:
            await reading.progress.wait(QUIET)


async def _read_up_to(ends: Mapping[TopicPlace, int], reading: Reading) -> None:
    while True:
        open_ = set(reading.held) - set(reading.stuck)
        if all(
            place in reading.marks and reading.marks[place].next >= ends[place] for place in reading.places_of(open_)
        ):
            return
        asked = time.monotonic()
        await reading.progress.wait(SILENT)
        if reading.progress.at < asked:
            raise TopicsAway(f"Kafka has delivered nothing for {SILENT:.0f} s, although it has more")


async def wait_until_back(
    topics: Topics, models: SharedReadModels, stop: asyncio.Event, back: asyncio.Event, still: Callable[[str], None]
) -> None:
    """Set `back` when Kafka has what was the head of the log a moment before, or `stop` is set.

    Calls `still` with the reason whenever it is not so yet.
    """
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            head = (await models.standing()).head
            await asyncio.wait([stopping], timeout=TRY_EVERY)
            try:
                await topics.open()
                await topics.ends(topics.places)
            except TopicsAway as error:
                still(str(error))
                continue
            relayed = (await models.standing()).relayed
            if relayed >= head:
                return
            still(f"the relay has copied events to Kafka up to position {relayed}, and not yet up to {head}")
    finally:
        stopping.cancel()
        back.set()
