"""Which topic and partition an event goes to.

The events of an order, its payment and its sagas have the same partition number, each in the topic of its category: a
reader of that number in these topics has everything about the order. The number is the one that Kafka's own clients
compute from the order's id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from aiokafka import partitioner

from core.codec import StoredEvent
from core.kafka_settings import ORDER_TOPIC, KafkaSettings

MURMUR2: Callable[[bytes], int] = cast("Any", partitioner).murmur2
CATEGORIES = ("order", "inventory", "payment", "saga", "reader")
OF_ORDERS = frozenset({"payment", "saga"})
"""Categories whose events are about one order, which their correlation id names."""
REMEMBERED = 65_536  # ids, since the hash takes 9 microseconds, and an order has ten events and more


def topic_names(settings: KafkaSettings) -> Mapping[str, str]:
    """The topic of each category. With another topic for orders than the default, the others are named after it."""
    order = settings.kafka_topic
    if ORDER_TOPIC in order:
        return {category: order.replace(ORDER_TOPIC, f"{category}-events") for category in CATEGORIES}
    return {category: order if category == "order" else f"{order}-{category}" for category in CATEGORIES}


def partition_of(event: StoredEvent, partitions: int) -> int:
    return _hash(event.correlation_id if event.category in OF_ORDERS else event.stream) % partitions


@lru_cache(REMEMBERED)
def _hash(id_: UUID) -> int:
    return MURMUR2(str(id_).encode()) & 0x7FFFFFFF
