"""Topics: the events of the log as the relay copied them to Kafka, divided into numbered partitions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from core.codec import StoredEvent
from core.errors import OrderdeckError, Unavailable


class TopicsAway(Unavailable):
    """Kafka does not answer, or has not what the relay copies to it; the text says why."""


class TopicPlace(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass
class PlacesLost(OrderdeckError):
    """Places that no longer have what was read of them, or do not have what comes next."""

    places: Collection[TopicPlace]
    reason: str

    def __str__(self) -> str:
        names = sorted(f"{topic}/{partition}" for topic, partition in self.places)
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"{self.reason} ({', '.join(names[:3])}{more})"


class TopicMark(msgspec.Struct, frozen=True):
    """How far a place has been read: up to the record before `next`.

    `event_id` and `position` are those of the event in the record before `next`, and None and 0 when that is not known.
    By them it is noticed that the topic is no longer the one that was read, or the log no longer the one it came from.
    """

    next: int
    event_id: UUID | None = None
    position: int = 0


class DeliveredEvent(StoredEvent, frozen=True, gc=False):
    """An event without its metadata, and the JSON in which it came."""

    record: bytes = b""


class Delivery(NamedTuple):
    """Events that were read together, each after its place, and how far each place has been read by now.

    An event is delivered at least once, usually in the order of the log, and may come again at any time later.
    """

    events: Sequence[tuple[TopicPlace, StoredEvent]]
    marks: Mapping[TopicPlace, TopicMark]


class Topics(Protocol):
    """Every method raises TopicsAway when Kafka does not answer, or does not have the topics as they must be."""

    @property
    def places(self) -> Sequence[TopicPlace]:
        """Every place that has events of the categories that are read."""
        ...

    def partition(self, event: StoredEvent) -> int:
        """The number of the partition in which the relay puts an event."""
        ...

    async def open(self) -> None:
        """Connect, and look whether the topics are as they must be; what was open before is closed."""
        ...

    async def start(self, marks: Mapping[TopicPlace, TopicMark]) -> Collection[TopicPlace]:
        """Read on from these marks. Returns the places that do not have what would be next, and are not read.

        A place whose record before `next` turns out to be another one than the mark says is told by `poll`.
        """
        ...

    async def poll(self) -> Delivery:
        """What has been delivered; empty when nothing has come for a moment. Raises PlacesLost."""
        ...

    async def ends(self, places: Collection[TopicPlace]) -> Mapping[TopicPlace, int]:
        """The offset after the last record of each place, as it is now."""
        ...

    def mirror(self, offsets: Mapping[TopicPlace, int]) -> None:
        """Have Kafka show these offsets as those of the consumer group, soon; nothing depends on it."""
        ...

    async def close(self) -> None: ...
