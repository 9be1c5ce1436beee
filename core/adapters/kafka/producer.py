"""Sends events to Kafka: in batches of one partition each, and never a later one before an earlier one is kept.

aiokafka would send the next batch of a partition although the one before was refused, and a broker that does not know
the producer yet takes it. So a partition's next batch is handed over only after the last one was acknowledged.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import structlog
from aiokafka import AIOKafkaProducer, errors
from aiokafka.structs import TopicPartition

from core.adapters.kafka.cloud_events import message_of
from core.adapters.kafka.connection import REQUEST_LIMIT, client_arguments, translating
from core.adapters.kafka.partitions import partition_of, topic_names
from core.adapters.kafka.schema_registry import register_all
from core.adapters.kafka.topics import empty_topics, make_topics
from core.codec import StoredEvent
from core.errors import Unavailable
from core.settings import Settings

BATCH_BYTES = 65_536  # of one batch, before compression
# It packs our messages smallest, and takes half of the CPU of aiokafka's lz4, which is always at level 9.
COMPRESSION = "zstd"
START_LIMIT = 15.0  # seconds in which the producer has to get its id from a broker
ACKNOWLEDGED_WITHIN = 20.0  # seconds; with idempotence aiokafka would try for ever
STOP_LIMIT = 3.0  # seconds for each part of the end of a producer
PAUSE_AFTER = 250  # events; while they are made into messages, the event loop has to serve the connections too

Batches: TypeAlias = Mapping[TopicPartition, deque[Any]]
"""The batches of each partition that has any, in their order."""

log = structlog.get_logger(__name__)


class KafkaBroker:
    """See `core.ports.broker.Broker`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def open(self) -> KafkaSending:
        found = await make_topics(self._settings)
        if found.made:
            log.info("made topics", topics=found.made, partitions=self._settings.kafka_partitions)
        for sentence in found.warnings:
            log.warning("a topic is at risk", reason=sentence)
        empty = await empty_topics(self._settings)
        categories = [category for category, name in topic_names(self._settings).items() if name in empty]
        return await KafkaSending.start(self._settings, categories)

    async def register_schemas(self) -> int:
        return await register_all(self._settings)


class KafkaSending:
    """See `core.ports.broker.Sending`."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer, empty: Collection[str]) -> None:
        self.empty = empty
        self._producer: Any = producer  # aiokafka leaves out most of its types
        self._partitions = settings.kafka_partitions
        names = topic_names(settings)
        self._places = {
            category: [TopicPartition(name, number) for number in range(self._partitions)]
            for category, name in names.items()
        }

    @classmethod
    async def start(cls, settings: Settings, empty: Collection[str]) -> KafkaSending:
        producer = AIOKafkaProducer(
            enable_idempotence=True,
            acks="all",
            compression_type=COMPRESSION,
            max_batch_size=BATCH_BYTES,
            linger_ms=0,
            request_timeout_ms=REQUEST_LIMIT,
            retry_backoff_ms=100,
            **client_arguments(settings),
        )
        sending = cls(settings, producer, empty)
        try:
            with translating():
                async with asyncio.timeout(START_LIMIT):
                    await producer.start()
        except BaseException:
            await sending.close()
            raise
        return sending

    async def prepare(self, events: Sequence[StoredEvent]) -> Batches:
        batches: dict[TopicPartition, deque[Any]] = {}
        for number, event in enumerate(events, 1):
            place = self._places[event.category][partition_of(event, self._partitions)]
            moment, key, value, headers = message_of(event)
            queue = batches.get(place)
            if queue is None:
                queue = batches[place] = deque((self._producer.create_batch(),))
            if queue[-1].append(timestamp=moment, key=key, value=value, headers=headers) is None:
                queue.append(self._producer.create_batch())
                queue[-1].append(timestamp=moment, key=key, value=value, headers=headers)
            if number % PAUSE_AFTER == 0:
                await asyncio.sleep(0)
        return batches

    async def send(self, prepared: Batches) -> None:
        under_way: dict[asyncio.Future[Any], TopicPartition] = {}
        try:
            for place in prepared:
                await self._hand_over(place, prepared, under_way)
            while under_way:
                done, _ = await asyncio.wait(
                    under_way, timeout=ACKNOWLEDGED_WITHIN, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    topics = sorted({place.topic for place in under_way.values()})
                    raise Unavailable(
                        f"Kafka has not kept events of {', '.join(topics)} within {ACKNOWLEDGED_WITHIN:.0f} s"
                    )
                for acknowledged in done:
                    place = under_way.pop(acknowledged)
                    with translating(f"the topic {place.topic}"):
                        acknowledged.result()
                    if prepared[place]:
                        await self._hand_over(place, prepared, under_way)
        finally:
            for rest in under_way:
                rest.add_done_callback(_forget)

    async def _hand_over(
        self, place: TopicPartition, prepared: Batches, under_way: dict[asyncio.Future[Any], TopicPartition]
    ) -> None:
        batch = prepared[place].popleft()
        try:
            with translating(f"the topic {place.topic}"):
                under_way[await self._producer.send_batch(batch, place.topic, partition=place.partition)] = place
        except AssertionError:  # aiokafka's answer to a partition that the topic does not have
            raise Unavailable(f"the topic {place.topic} has no partition {place.partition} any more") from None

    async def close(self) -> None:
        """End the producer without waiting for what is under way, which `stop` of aiokafka would do for ever."""
        producer = self._producer
        producer._closed = True  # noqa: SLF001 - else aiokafka complains that it was not stopped
        task: asyncio.Task[Any] | None = producer._sender.sender_task  # noqa: SLF001 - there is no other way to end it
        if task is not None:
            task.cancel()  # it sends no more, and waits for the answers to what it has sent
        with suppress(TimeoutError, errors.KafkaError, OSError):
            async with asyncio.timeout(STOP_LIMIT):
                await producer.client.close()  # so those answers never come
        if task is not None:
            await asyncio.wait([task], timeout=STOP_LIMIT)
            task.cancel()
            await asyncio.wait([task], timeout=STOP_LIMIT)


def _forget(future: asyncio.Future[Any]) -> None:
    """Read the error of a batch that nobody waits for any more; else asyncio logs that nobody has read it."""
    if not future.cancelled():
        future.exception()
