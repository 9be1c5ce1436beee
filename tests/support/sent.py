"""What a stranger reads from the topics of Kafka: with confluent-kafka, which knows nothing of orderdeck."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, TopicPartition


@dataclass(frozen=True)
class Sent:
    """One message of Kafka."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: Mapping[str, str]
    value: Mapping[str, Any]


@contextmanager
def reader_of(brokers: str, topics: Collection[str], partitions: int) -> Iterator[Consumer]:
    """A consumer that is at the first message of every partition."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "stranger", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, number, 0) for topic in topics for number in range(partitions)])
        yield consumer
    finally:
        consumer.close()


def read(consumer: Consumer, *, until: int, within: float = 30.0) -> Sequence[Sent]:
    """The next messages, until there are so many different events among them."""
    messages: list[Sent] = []
    events: set[str] = set()
    deadline = time.monotonic() + within
    while len(events) < until:
        assert time.monotonic() < deadline, f"{len(events)} of {until} events after {within:.0f} s"
        for message in consumer.consume(1_000, timeout=0.1):
            assert message.error() is None, message.error()
            value = json.loads(message.value() or b"")
            events.add(value["event_id"])
            messages.append(
                Sent(
                    topic=message.topic() or "",
                    partition=message.partition() or 0,
                    offset=message.offset() or 0,
                    key=(message.key() or b"").decode(),  # type: ignore[union-attr]
                    headers={name: text.decode() for name, text in message.headers() or ()},  # type: ignore[union-attr]
                    value=value,
                )
            )
    return messages


def first_occurrences(messages: Sequence[Sent]) -> Mapping[tuple[str, str], Sequence[int]]:
    """The versions under each key of each topic, in the order in which a reader sees them for the first time."""
    seen: dict[tuple[str, str], list[int]] = {}
    for message in messages:
        versions = seen.setdefault((message.topic, message.key), [])
        if message.value["version"] not in versions:
            versions.append(message.value["version"])
    return seen


def must_have_no_gap(messages: Sequence[Sent]) -> None:
    for place, versions in first_occurrences(messages).items():
        assert list(versions) == list(range(1, len(versions) + 1)), f"{place}: {versions}"
