"""Kafka's topics for a reader that chooses its partitions itself, and keeps its offsets itself.

It is in no consumer group, since Kafka hands a group's partitions on without asking the database who may save. A client
of its own asks for the ends of the topics, because a broker answers the requests of a connection one after the other,
and a request for new events waits for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition, errors

from core.adapters.kafka.connection import (
    REQUEST_LIMIT,
    client_arguments,
    must_be_reachable,
    stop_consumer,
    translating,
)
from core.adapters.kafka.log_order import LogOrder
from core.adapters.kafka.mirror import GroupMirror
from core.adapters.kafka.partitions import partition_of, topic_names
from core.adapters.kafka.records import event_of
from core.codec import StoredEvent
from core.errors import BrokerRefused, Unavailable
from core.ports.deliveries import Delivery, PlacesLost, TopicMark, TopicPlace, TopicsAway
from core.settings import Settings

MOST = 2_000  # events of a delivery
# Of one partition, so that all of them are in an answer, and none gets far ahead of the others. We have some 110 bytes
# for an event, compressed.
FETCH_BYTES = 32 << 10
ANSWERS_WITHIN = 5.0  # seconds
POLL = 1_000  # milliseconds; while nothing comes, shorter waits leak memory in aiokafka
POLL_WHILE_WAITING = 100  # milliseconds, for the short time in which records wait for those of other places


class KafkaTopics:
    """See `core.ports.deliveries.Topics`. It reads the topics of these categories."""

    def __init__(self, settings: Settings, categories: Collection[str]) -> None:
        names = topic_names(settings)
        self._settings = settings
        self._partitions = settings.kafka_partitions
        self._topics = [names[category] for category in categories]
        self.places: Sequence[TopicPlace] = [
            TopicPlace(name, n) for name in self._topics for n in range(self._partitions)
        ]
        self._reader: Any = None  # aiokafka leaves out most of its types
        self._asker: Any = None
        self._mirror = GroupMirror(settings)
        self._order = LogOrder({}, {})
        self._proofs: dict[TopicPlace, TopicMark] = {}  # by place: the mark whose record must come first

    def partition(self, event: StoredEvent) -> int:
        return partition_of(event, self._partitions)

    async def open(self) -> None:
        await self._close_clients()
        async with self._answering():
            for _ in range(2):
                client: Any = AIOKafkaConsumer(
                    auto_offset_reset="none",
                    enable_auto_commit=False,
                    request_timeout_ms=REQUEST_LIMIT,
                    metadata_max_age_ms=30_000,
                    max_partition_fetch_bytes=FETCH_BYTES,
                    **client_arguments(self._settings),
                )
                self._reader, self._asker = client, self._reader
                await client.start()
            # Of one partition each, since asking for one that a topic does not have takes the whole time limit.
            await self._asker.end_offsets([TopicPartition(topic, 0) for topic in self._topics])
        for topic in self._topics:
            count = len(self._asker.partitions_for_topic(topic) or ())
            if count != self._partitions:
                raise TopicsAway(
                    f"the Kafka topic {topic} has {count} partitions instead of {self._partitions}:"
                    f" set ORDERDECK_KAFKA_PARTITIONS={count}, or delete the topic, and the relay makes it again"
                )

    async def start(self, marks: Mapping[TopicPlace, TopicMark]) -> Collection[TopicPlace]:
        wanted = [TopicPartition(*place) for place in marks]
        async with self._answering():
            firsts = _by_place(await self._asker.beginning_offsets(wanted)) if wanted else {}
            ends = _by_place(await self._asker.end_offsets(wanted)) if wanted else {}
        self._proofs = {}
        begins: dict[TopicPlace, int] = {}
        for place, mark in marks.items():
            begin = mark.next - 1 if mark.event_id is not None else mark.next
            if firsts[place] <= begin <= mark.next <= ends[place]:
                begins[place] = begin
                if mark.event_id is not None:
                    self._proofs[place] = mark
        self._order = LogOrder({place: marks[place] for place in begins}, ends)
        self._reader.assign([TopicPartition(*place) for place in begins])
        for place, begin in begins.items():
            self._reader.seek(TopicPartition(*place), begin)
        return marks.keys() - begins.keys()

    async def poll(self) -> Delivery:
        if (delivery := self._order.take(MOST)).marks:
            self._pause(self._order.ahead())
            return delivery
        try:
            with translating():
                fetched = await self._reader.getmany(timeout_ms=POLL_WHILE_WAITING if self._order.waits else POLL)
        except Unavailable as error:
            if isinstance(error.__cause__, errors.OffsetOutOfRangeError):
                places = [TopicPlace(*place) for place in error.__cause__.args[0]]
                raise PlacesLost(places, "what comes next is no longer in the topic") from error
            raise TopicsAway(str(error)) from error
        except BrokerRefused as error:
            raise TopicsAway(str(error)) from error
        for partition, records in fetched.items():
            place = TopicPlace(*partition)
            found = [(record.offset, event_of(record.value)) for record in records]
            come = [(offset, event) for offset, event in found if event is not None]
            if len(come) < len(found):
                raise PlacesLost([place], "a record is not an event")
            if (proof := self._proofs.pop(place, None)) is not None:
                (offset, event), *come = come
                if (offset, event.event_id) != (proof.next - 1, proof.event_id):
                    raise PlacesLost([place], "the topic is not the one that was read")
            if come:
                self._order.add(place, come, self._reader.highwater(partition))
        delivery = self._order.take(MOST)
        self._pause(self._order.ahead())  # before the client asks for more, which it does once we wait for something
        return delivery

    def _pause(self, places: Collection[TopicPlace]) -> None:
        """Let the client ask for the records of all places but these."""
        paused = self._reader.paused()
        self._reader.pause(*(TopicPartition(*place) for place in places if place not in paused))
        self._reader.resume(*(partition for partition in paused if TopicPlace(*partition) not in places))

    async def ends(self, places: Collection[TopicPlace]) -> Mapping[TopicPlace, int]:
        async with self._answering():
            return _by_place(await self._asker.end_offsets([TopicPartition(*place) for place in places]))

    def mirror(self, offsets: Mapping[TopicPlace, int]) -> None:
        self._mirror.note(offsets)

    async def close(self) -> None:
        await self._close_clients()
        await self._mirror.stop()

    async def _close_clients(self) -> None:
        clients, self._reader, self._asker = (self._reader, self._asker), None, None
        for client in clients:
            if client is not None:
                await stop_consumer(client, ANSWERS_WITHIN)

    @asynccontextmanager
    async def _answering(self) -> AsyncGenerator[None]:
        """Within this block Kafka must answer in time. Raises TopicsAway, which says why it does not."""
        try:
            with translating():
                async with asyncio.timeout(ANSWERS_WITHIN):
                    yield
        except BrokerRefused as error:
            raise TopicsAway(str(error)) from error
        except Unavailable as error:
            raise TopicsAway(await self._why_not() or str(error)) from error

    async def _why_not(self) -> str:
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                await must_be_reachable(self._settings)
                there = await self._asker.topics() if self._asker else set[str]()
        except (TimeoutError, errors.KafkaError):
            return ""
        except (Unavailable, BrokerRefused) as error:
            return str(error)
        missing = [topic for topic in self._topics if topic not in there]
        return f"Kafka has no topic {missing[0]} yet, which the relay makes" if missing else ""


def _by_place(offsets: Mapping[Any, int]) -> dict[TopicPlace, int]:
    return {TopicPlace(*partition): offset for partition, offset in offsets.items()}
