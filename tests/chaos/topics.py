"""The topics of a run, as a stranger's client sees them: reads them whole, and sends what is there again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, Producer, TopicPartition

TOPICS = ("order-events", "inventory-events", "payment-events", "saga-events", "reader-events", "customer-events")
SOME = 200  # records
WITHIN = 30.0  # seconds
READER = {"group.id": "chaos", "enable.auto.commit": False, "log_level": 0, "auto.offset.reset": "earliest"}


@dataclass(frozen=True)
class Copied:
    """An event as Kafka has it, and where."""

    topic: str
    partition: int
    key: str
    event: Mapping[str, Any]


def read_topics(brokers: str) -> Iterator[Copied]:
    """Every record of every topic, each partition in its order."""
    decode = msgspec.json.decode
    for topic in TOPICS:
        for record in _read(brokers, topic):
            yield Copied(topic, record.partition() or 0, (record.key() or b"").decode(), decode(record.value() or b""))


def repeat_records(brokers: str, how: str, chance: float) -> int:
    """Send records of one partition to it again, unchanged; return how many.

    `again`: the last ones as they are; `old`: some of the first half; `shuffled`: the last ones in another order.
    """
    rng = random.Random(chance)
    topic = rng.choice(TOPICS)
    try:
        records = _read(brokers, topic, chance)
    except (KafkaException, TimeoutError):  # the brokers are away, or have no topics yet
        return 0
    records = list(records[: len(records) // 2][:SOME]) if how == "old" else list(records[-SOME:])
    if how == "shuffled":
        rng.shuffle(records)
    producer = Producer({"bootstrap.servers": brokers, "log_level": 0})
    for each in records:
        producer.produce(topic, each.value(), each.key(), partition=each.partition() or 0, headers=each.headers() or [])
    return len(records) - producer.flush(WITHIN)


def _read(brokers: str, topic: str, chance: float | None = None) -> Sequence[Message]:
    """The records of all partitions, or of one that `chance` picks. Raises KafkaException and TimeoutError."""
    consumer = Consumer({"bootstrap.servers": brokers, **READER})
    try:
        numbers = sorted(consumer.list_topics(topic, timeout=WITHIN).topics[topic].partitions)
        if chance is not None:
            numbers = numbers[int(chance * len(numbers)) :][:1]
        ends = {
            number: high
            for number in numbers
            for low, high in [consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=WITHIN)]
            if high > low
        }
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in ends])
        records, deadline = list[Message](), time.monotonic() + WITHIN
        while ends and time.monotonic() < deadline:
            for record in consumer.consume(1_000, timeout=1):
                if (error := record.error()) is not None:
                    raise KafkaException(error)
                records.append(record)
                if (record.offset() or 0) + 1 >= ends.get(record.partition() or 0, 0):
                    ends.pop(record.partition() or 0, None)
        if ends:
            raise TimeoutError(f"{topic} was not read to its end within {WITHIN} s")
        return sorted(records, key=lambda record: (record.partition() or 0, record.offset() or 0))
    finally:
        consumer.close()
