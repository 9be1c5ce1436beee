"""Copies events to a real Kafka as the relay does, in topics of a test's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from core.adapters.kafka.partitions import partition_of, topic_names
from core.adapters.kafka.topics import make_topics
from core.codec import StoredEvent
from core.settings import Settings


class Copier:
    """Use it as an asynchronous context."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = topic_names(settings)

    async def __aenter__(self) -> Self:
        await make_topics(self._settings)
        self._producer: Any = AIOKafkaProducer(bootstrap_servers=self._settings.kafka_brokers, acks="all", linger_ms=2)
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def copy(self, events: Iterable[StoredEvent]) -> None:
        for event in events:
            await self._producer.send(
                self._names[event.category],
                event.envelope().encode(),
                key=str(event.stream).encode(),
                partition=partition_of(event, self._settings.kafka_partitions),
            )
        await self._producer.flush()

    async def send(self, category: str, partition: int, value: bytes | None) -> None:
        """Put anything into a topic."""
        await self._producer.send_and_wait(self._names[category], value, key=b"x", partition=partition)
