"""Which topic and partition an event goes to.

The events of an order, its payment and its sagas have the same partition number, each in the topic of its category: a
reader of that number in these topics has everything about the order. The number is the one that Kafka's own clients
compute from the order's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from struct import Struct
from uuid import UUID

from core.codec import StoredEvent
from core.kafka_settings import ORDER_TOPIC, KafkaSettings

CATEGORIES = ("order", "inventory", "payment", "saga", "reader", "customer")
OF_ORDERS = frozenset({"payment", "saga"})
"""Categories whose events are about one order, which their correlation id names."""
REMEMBERED = 65_536  # ids, since the hash takes 3 microseconds, and an order has ten events and more

SEED, FACTOR, MASK = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF  # of murmur2, as Kafka's clients use it
_WORDS = Struct("<9I").unpack


def topic_names(settings: KafkaSettings) -> Mapping[str, str]:
    """The topic of each category. With another topic for orders than the default, the others are named after it."""
    order = settings.kafka_topic
    if ORDER_TOPIC in order:
        return {category: order.replace(ORDER_TOPIC, f"{category}-events") for category in CATEGORIES}
    return {category: order if category == "order" else f"{order}-{category}" for category in CATEGORIES}


def partition_of(event: StoredEvent, partitions: int) -> int:
    id_ = event.correlation_id if event.category in OF_ORDERS else event.stream
    return _hash(id_.int) % partitions  # a number is looked up in a fifth of the time of an id


@lru_cache(REMEMBERED)
def _hash(id_: int) -> int:
    """What Kafka's clients compute: murmur2 of the 36 characters of the id, without the sign.

    aiokafka has it for any number of bytes, and takes two and a half times as long.
    """
    hash_ = SEED ^ 36
    for word in _WORDS(str(UUID(int=id_)).encode()):
        word = word * FACTOR & MASK  # noqa: PLW2901 - a word is mixed in two steps
        hash_ = (hash_ * FACTOR ^ (word ^ word >> 24) * FACTOR) & MASK
    hash_ = (hash_ ^ hash_ >> 13) * FACTOR & MASK
    return (hash_ ^ hash_ >> 15) & 0x7FFFFFFF
