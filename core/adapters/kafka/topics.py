"""The topics of Kafka: made when they are missing, and compared with what they have to be when they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from core.adapters.kafka.connection import REQUEST_LIMIT, client_arguments, must_be_reachable, translating
from core.adapters.kafka.partitions import topic_names
from core.errors import BrokerRefused, TopicUnfit, Unavailable
from core.kafka_settings import FOR_EVER
from core.settings import Settings

MOST_REPLICAS = 3  # when the settings do not say how many
LEADERS_WITHIN = 10.0  # seconds in which each partition of a new topic gets its leader
LOOK_EVERY = 0.05  # seconds between two looks whether they have theirs
UNKNOWN_TOPIC, TOPIC_EXISTS = 3, 36  # numbers of Kafka's errors
MOVES = "orders would move between partitions"
ANEW = "delete the topic, and the relay makes it again and fills it from the log"


@dataclass(frozen=True)
class Topic:
    """A topic as Kafka describes it. `replicas` are those of the partition that has the fewest."""

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]

    @property
    def least_in_sync(self) -> int:
        return int(self.config.get("min.insync.replicas", "1"))


@dataclass(frozen=True)
class TopicsFound:
    """`made`: topics that were missing, and are there now. `warnings`: sentences on what could be lost, and when."""

    made: Sequence[str]
    warnings: Sequence[str]


async def make_topics(settings: Settings) -> TopicsFound:
    """Make the topics that are missing, and look at the others.

    Raises TopicUnfit when events would be lost or out of order in one of them, BrokerRefused and Unavailable.
    """
    await must_be_reachable(settings)
    admin = AIOKafkaAdminClient(request_timeout_ms=REQUEST_LIMIT, **client_arguments(settings))
    try:
        with translating():
            await admin.start()
            brokers = len((await admin.describe_cluster())["brokers"])
            names = list(topic_names(settings).values())
            present = await _present(admin, names)
            made: list[str] = []
            if missing := [name for name in names if name not in present]:
                made = await _make(admin, missing, settings, brokers)
                present = await _present(admin, names)  # with those that somebody else has made meanwhile
            topics = await _with_config(admin, present)
    finally:
        await admin.close()
    for topic in topics:
        if (wrong := what_is_wrong(topic, settings)) is not None:
            raise TopicUnfit(wrong)
    wanted = replicas(settings, brokers)
    return TopicsFound(made, [text for topic in topics if (text := what_is_risky(topic, wanted)) is not None])


async def empty_topics(settings: Settings) -> Collection[str]:
    """Those of the topics to which no event was ever sent: new ones, and those that somebody has made anew."""
    names = list(topic_names(settings).values())
    places = [TopicPartition(name, number) for name in names for number in range(settings.kafka_partitions)]
    consumer = AIOKafkaConsumer(request_timeout_ms=REQUEST_LIMIT, **client_arguments(settings))
    try:
        with translating():
            await consumer.start()
            ends = cast("Mapping[TopicPartition, int]", await cast("Any", consumer).end_offsets(places))
    finally:
        await consumer.stop()
    return set(names) - {place.topic for place, end in ends.items() if end}


def replicas(settings: Settings, brokers: int) -> int:
    return settings.kafka_replication or max(1, min(MOST_REPLICAS, brokers))


def least_in_sync(replicas: int) -> int:
    """How many replicas must have an event before it counts as sent: with three, one may be away meanwhile."""
    return max(1, replicas - 1)


def what_is_wrong(topic: Topic, settings: Settings) -> str | None:
    """Why no event may be sent to this topic, and what to do; None when it is fit."""
    name, config = topic.name, topic.config
    if topic.partitions != settings.kafka_partitions:
        return (
            f"the Kafka topic {name} has {topic.partitions} partitions instead of {settings.kafka_partitions}, and"
            f" {MOVES}: set ORDERDECK_KAFKA_PARTITIONS={topic.partitions}, or {ANEW}"
        )
    if "compact" in (policy := config.get("cleanup.policy", "")):
        return (
            f"the Kafka topic {name} has cleanup.policy={policy}, and Kafka would remove all but an order's last"
            f" event: set it to delete, and {ANEW} if events were sent to it before"
        )
    if topic.least_in_sync > topic.replicas:
        return (
            f"the Kafka topic {name} has min.insync.replicas={topic.least_in_sync} but only {topic.replicas}"
            f" replicas, and takes no event: set it to {least_in_sync(topic.replicas)}, or add replicas"
        )
    return None


def what_is_risky(topic: Topic, wanted: int) -> str | None:
    """What makes events of this topic less safe than they could be, and what to do; None when nothing does."""
    if topic.replicas < wanted:
        return (
            f"the Kafka topic {topic.name} has {topic.replicas} replicas instead of {wanted}, and the loss of a broker"
            f" loses events: add replicas with kafka-reassign-partitions, or {ANEW}"
        )
    if topic.least_in_sync < least_in_sync(topic.replicas):
        return (
            f"the Kafka topic {topic.name} has min.insync.replicas={topic.least_in_sync} with {topic.replicas}"
            f" replicas, and an event that only one broker has counts as sent: set it to"
            f" {least_in_sync(topic.replicas)}"
        )
    return None


def topic_config(settings: Settings, replicas: int) -> Mapping[str, str]:
    hours = settings.kafka_retention_hours
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(FOR_EVER if hours == FOR_EVER else hours * 3_600_000),
        "min.insync.replicas": str(least_in_sync(replicas)),
        "compression.type": "producer",
        # By the time of sending: an old event that is sent today would else be removed today.
        "message.timestamp.type": "LogAppendTime",
    }


async def _present(admin: AIOKafkaAdminClient, names: Sequence[str]) -> Mapping[str, Topic]:
    """Those of the topics that there are, without their configuration."""
    found: dict[str, Topic] = {}
    for described in cast("list[dict[str, Any]]", await admin.describe_topics(list(names))):
        code, partitions = described["error_code"], described["partitions"]
        if code == UNKNOWN_TOPIC:
            continue
        if code:
            raise errors.for_code(code)(f"the topic {described['topic']} cannot be looked at")
        fewest = min(len(partition["replicas"]) for partition in partitions)
        found[described["topic"]] = Topic(described["topic"], len(partitions), fewest, {})
    return found


async def _with_config(admin: AIOKafkaAdminClient, topics: Mapping[str, Topic]) -> Sequence[Topic]:
    wanted = {"cleanup.policy": "", "min.insync.replicas": ""}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, configs=wanted) for name in topics]
    found: list[Topic] = []
    for answer in cast("list[Any]", await admin.describe_configs(asked)) if asked else []:
        for code, message, _, name, entries in answer.resources:
            if code:
                raise errors.for_code(code)(message or f"the settings of the topic {name} cannot be read")
            config = {entry[0]: entry[1] for entry in entries}
            found.append(Topic(name, topics[name].partitions, topics[name].replicas, config))
    return found


async def _make(admin: AIOKafkaAdminClient, names: Sequence[str], settings: Settings, brokers: int) -> list[str]:
    """Make these topics and wait until each of their partitions has a leader; return those that were not there."""
    count = replicas(settings, brokers)
    config = dict(topic_config(settings, count))
    wanted = [NewTopic(name, settings.kafka_partitions, count, topic_configs=config) for name in names]
    answer = cast("Any", await admin.create_topics(wanted))
    for name, code, message in answer.topic_errors:
        if code not in {0, TOPIC_EXISTS}:
            error = errors.for_code(code)
            if getattr(error, "retriable", False):
                raise error(message)
            raise BrokerRefused(f"Kafka does not make the topic {name}: {message or error.__name__}")
    try:
        async with asyncio.timeout(LEADERS_WITHIN):
            while not await _led(admin, names):  # noqa: ASYNC110 - Kafka has no event for it
                await asyncio.sleep(LOOK_EVERY)
    except TimeoutError:
        raise Unavailable(f"the new topics have no leaders after {LEADERS_WITHIN:.0f} s") from None
    return [name for name, code, _ in answer.topic_errors if not code]


async def _led(admin: AIOKafkaAdminClient, names: Sequence[str]) -> bool:
    described = cast("list[dict[str, Any]]", await admin.describe_topics(list(names)))
    return all(
        not topic["error_code"] and topic["partitions"] and all(p["leader"] >= 0 for p in topic["partitions"])
        for topic in described
    )
