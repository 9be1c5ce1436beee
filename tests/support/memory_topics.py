"""Topics in memory, which a test may copy events to in any way, and which may lose, repeat and disorder them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.adapters.kafka.cloud_events import message_of
from core.adapters.kafka.records import event_of
from core.codec import StoredEvent
from core.ports.deliveries import DeliveredEvent, Delivery, PlacesLost, TopicMark, TopicPlace, TopicsAway

CATEGORIES = ("order", "payment", "inventory")


@dataclass
class MemoryTopics:
    """One topic for each category, all with so many partitions.

    `away` says why they do not answer. While they are `silent`, they answer every question and deliver nothing.
    """

    partitions: int = 4
    away: str = ""
    silent: bool = False
    records: dict[TopicPlace, list[StoredEvent]] = field(default_factory=dict[TopicPlace, list[StoredEvent]])
    first: dict[TopicPlace, int] = field(default_factory=dict[TopicPlace, int])  # offsets
    mirrored: dict[TopicPlace, int] = field(default_factory=dict[TopicPlace, int])
    polls: int = 0

    def __post_init__(self) -> None:
        for category in CATEGORIES:
            for n in range(self.partitions):
                self.records[TopicPlace(category, n)] = []

    def partition(self, event: StoredEvent) -> int:
        return (event.correlation_id if event.category == "payment" else event.stream).int % self.partitions

    def place(self, event: StoredEvent) -> TopicPlace:
        return TopicPlace(event.category, self.partition(event))

    def copy(self, events: Iterable[StoredEvent]) -> None:
        for event in events:
            self.records[self.place(event)].append(event)

    def copy_badly(self, events: Sequence[StoredEvent], rng: random.Random, *, lose: float = 0.0) -> None:
        """Repeat some events, move some to other moments, and lose some that are not the last of their stream."""
        last = {event.stream: event.version for event in events}
        moments = [(n + rng.choice([0, 0, 0, rng.uniform(-30, 30)]), event) for n, event in enumerate(events)]
        moments += [(rng.uniform(0, len(events)), event) for event in rng.sample(events, len(events) // 3)]
        kept = [
            (moment, event) for moment, event in moments if event.version == last[event.stream] or rng.random() >= lose
        ]
        self.copy(event for _, event in sorted(kept, key=lambda one: one[0]))

    def client(self, *categories: str) -> MemoryClient:
        return MemoryClient(self, categories or ("order", "payment"))


@dataclass
class MemoryClient:
    """See `core.ports.deliveries.Topics`."""

    topics: MemoryTopics
    categories: Sequence[str]
    most: int = 50  # records of a poll
    next: dict[TopicPlace, int] = field(default_factory=dict[TopicPlace, int])
    expected: dict[TopicPlace, TopicMark] = field(default_factory=dict[TopicPlace, TopicMark])

    @property
    def places(self) -> Sequence[TopicPlace]:
        return [place for place in self.topics.records if place.topic in self.categories]

    def partition(self, event: StoredEvent) -> int:
        return self.topics.partition(event)

    async def open(self) -> None:
        self._must_answer()
        self.next, self.expected = {}, {}

    async def start(self, marks: Mapping[TopicPlace, TopicMark]) -> Collection[TopicPlace]:
        self._must_answer()
        lost = [place for place, mark in marks.items() if not self._has(place, mark)]
        self.next = {place: mark.next for place, mark in marks.items() if place not in lost}
        return lost

    def _has(self, place: TopicPlace, mark: TopicMark) -> bool:
        records, first = self.topics.records[place], self.topics.first.get(place, 0)
        if not first <= mark.next <= len(records):
            return False
        return (
            mark.next == 0
            or mark.event_id is None
            or (mark.next > first and records[mark.next - 1].event_id == mark.event_id)
        )

    async def poll(self) -> Delivery:
        self._must_answer()
        self.topics.polls += 1
        events: list[tuple[TopicPlace, DeliveredEvent]] = []
        marks: dict[TopicPlace, TopicMark] = {}
        for place in random.Random(self.topics.polls).sample(list(self.next), len(self.next)):
            records = self.topics.records[place]
            begin = self.next[place]
            if begin > len(records) or begin < self.topics.first.get(place, 0):
                raise PlacesLost([place], "what comes next is no longer there")
            got = () if self.topics.silent else records[begin : begin + self.most - len(events)]
            if got:
                events += [(place, _delivered(event)) for event in got]
                self.next[place] = begin + len(got)
                marks[place] = TopicMark(self.next[place], got[-1].event_id, got[-1].position)
        if not events:
            await asyncio.sleep(0.005)
        return Delivery(events, marks)

    async def ends(self, places: Collection[TopicPlace]) -> Mapping[TopicPlace, int]:
        self._must_answer()
        return {place: len(self.topics.records[place]) for place in places}

    def mirror(self, offsets: Mapping[TopicPlace, int]) -> None:
        self.topics.mirrored.update(offsets)

    async def close(self) -> None:
        self.next = {}

    def _must_answer(self) -> None:
        if self.topics.away:
            raise TopicsAway(self.topics.away)


def _delivered(event: StoredEvent) -> DeliveredEvent:
    """The event as it comes from Kafka."""
    delivered = event_of(message_of(event)[2])
    assert delivered is not None
    return delivered
