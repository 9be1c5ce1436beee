"""Puts the events of several places into the order of the log, as far as that takes no long wait.

A payment is then folded after its order, although it comes from another topic. If it came first, the order would have
to be looked up in the log.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from core.codec import StoredEvent
from core.ports.deliveries import Delivery, TopicMark, TopicPlace

HOLD = 0.5  # seconds for which records wait for those of a place that has more and delivers nothing
MOST_AHEAD = 500  # records of a place that wait for others; with more, it is not read until some of them are taken

Record: TypeAlias = tuple[int, StoredEvent]
"""An event after its offset."""


def _position(record: Record) -> int:
    return record[1].position


class ReadPlace:
    """What has been read of a place: the records that wait for those of others, and the offset of the next to be read.

    `position` is that of the last event that was read. `end` is the offset after the last record that Kafka had then.
    """

    def __init__(self, mark: TopicMark, end: int) -> None:
        self.waiting: list[Record] = []
        self.next = mark.next
        self.end = end
        self.position = mark.position


class LogOrder:
    """`marks` has the places that are read, each from its mark on, and `ends` where they end."""

    def __init__(self, marks: Mapping[TopicPlace, TopicMark], ends: Mapping[TopicPlace, int]) -> None:
        self._places = {name: ReadPlace(mark, ends[name]) for name, mark in marks.items()}
        self._took_at = time.monotonic()

    @property
    def waits(self) -> bool:
        """Whether records wait for those of other places."""
        return any(place.waiting for place in self._places.values())

    def add(self, name: TopicPlace, records: Sequence[Record], end: int) -> None:
        """Add the next records of a place, which ends before the offset `end` by now."""
        place = self._places[name]
        place.waiting += records
        place.next, place.end = records[-1][0] + 1, end
        place.position = records[-1][1].position

    def take(self, most: int) -> Delivery:
        """What waits for no other place any more, in the order of the log; about `most` events, if there are so many.

        A place that has more and has not delivered it for a while is waited for again once it delivers.
        """
        if time.monotonic() - self._took_at > HOLD:
            for place in self._places.values():
                place.end = place.next
        upto = min((one.position for one in self._places.values() if one.next < one.end), default=math.inf)
        cuts = self._until(upto)
        if sum(cuts.values()) > most:
            positions = sorted(
                _position(record) for name, count in cuts.items() for record in self._places[name].waiting[:count]
            )
            cuts = self._until(positions[most - 1]) or cuts
        events: list[tuple[TopicPlace, StoredEvent]] = []
        marks: dict[TopicPlace, TopicMark] = {}
        for name, count in cuts.items():
            place = self._places[name]
            come, place.waiting = place.waiting[:count], place.waiting[count:]
            events += [(name, event) for _, event in come]
            offset, last = come[-1]
            marks[name] = TopicMark(offset + 1, last.event_id, last.position)
        if cuts:
            self._took_at = time.monotonic()
            events.sort(key=lambda one: one[1].position)
        return Delivery(events, marks)

    def _until(self, position: float) -> Mapping[TopicPlace, int]:
        """By place, how many of its first records to take. They need not be in order, since anybody may write there."""
        counts = {name: bisect_right(place.waiting, position, key=_position) for name, place in self._places.items()}
        return {name: count for name, count in counts.items() if count}

    def ahead(self) -> Collection[TopicPlace]:
        """The places that should not be read now, because too many of their records wait."""
        return {name for name, place in self._places.items() if len(place.waiting) >= MOST_AHEAD}
