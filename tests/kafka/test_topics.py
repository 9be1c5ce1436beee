"""The topics of Kafka: made with the right settings, and a wrong one that is there already is told in a sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from confluent_kafka import Producer

from core.adapters.kafka import topics
from core.adapters.kafka.partitions import CATEGORIES, partition_of, topic_names
from core.adapters.kafka.topics import Topic, make_topics, what_is_risky, what_is_wrong
from core.codec import StoredEvent
from core.domain.message import StreamId
from core.errors import BrokerRefused, TopicUnfit
from core.settings import Settings, load_settings
from tests.support.kafka_for_all import KafkaForAll
from tests.support.stored_events import at

SAFE = {"cleanup.policy": "delete", "min.insync.replicas": "2"}


def settings_for(kafka: KafkaForAll, **others: Any) -> Settings:
    """Settings whose topics no other test has."""
    return load_settings(
        kafka_brokers=kafka.brokers, kafka_topic=f"{uuid4().hex[:12]}.order-events", **{"kafka_partitions": 3} | others
    )


@pytest.fixture
async def admin(kafka: KafkaForAll) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.brokers)
    await client.start()
    yield client
    await client.close()


async def config(admin: AIOKafkaAdminClient, topic: str) -> Mapping[str, str]:
    answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    [(_, _, _, _, entries)] = answers[0].resources
    return {entry[0]: entry[1] for entry in entries}


async def test_the_topics_are_made_once_with_what_the_settings_say(
    kafka: KafkaForAll, admin: AIOKafkaAdminClient
) -> None:
    settings = settings_for(kafka, kafka_retention_hours=2)
    names = list(topic_names(settings).values())
    found = await make_topics(settings)
    assert (found.made, found.warnings) == (names, [])
    described = await admin.describe_topics(names)
    assert [len(topic["partitions"]) for topic in described] == [3] * len(names)
    assert all(len(partition["replicas"]) == 1 for topic in described for partition in topic["partitions"])
    made = await config(admin, names[-1])
    assert {name: made[name] for name in topics.topic_config(settings, 1)} == {
        "cleanup.policy": "delete",
        "retention.ms": "7200000",
        "min.insync.replicas": "1",
        "compression.type": "producer",
        "message.timestamp.type": "LogAppendTime",
    }
    assert (await make_topics(settings)).made == []


@pytest.mark.parametrize(
    ("partitions", "config", "sentence"),
    [
        (5, {}, "has 5 partitions instead of 3.*set ORDERDECK_KAFKA_PARTITIONS=5, or delete the topic"),
        (3, {"cleanup.policy": "compact"}, "has cleanup.policy=compact.*set it to delete"),
        (3, {"cleanup.policy": "compact,delete"}, "has cleanup.policy=compact,delete.*set it to delete"),
        (3, {"min.insync.replicas": "2"}, "has min.insync.replicas=2 but only 1 replicas.*set it to 1"),
    ],
)
async def test_a_topic_with_which_events_would_be_lost_or_out_of_order_is_refused_in_a_sentence(
    kafka: KafkaForAll, admin: AIOKafkaAdminClient, partitions: int, config: Mapping[str, str], sentence: str
) -> None:
    settings = settings_for(kafka)
    name = topic_names(settings)["saga"]
    await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=dict(config))])
    with pytest.raises(TopicUnfit, match=f"the Kafka topic {name} {sentence}"):
        await make_topics(settings)


async def test_more_replicas_than_brokers_are_refused_with_what_kafka_says(kafka: KafkaForAll) -> None:
    with pytest.raises(BrokerRefused, match=r"does not make the topic .*replication factor of 2 cannot be reached"):
        await make_topics(settings_for(kafka, kafka_replication=2))


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        (Topic("t", 3, 1, SAFE | {"min.insync.replicas": "1"}), "1 replicas instead of 3"),
        (Topic("t", 3, 3, SAFE | {"min.insync.replicas": "1"}), "min.insync.replicas=1 with 3 replicas"),
        (Topic("t", 3, 3, SAFE), None),
        (Topic("t", 3, 5, SAFE | {"min.insync.replicas": "4"}), None),
    ],
)
def test_a_topic_that_can_lose_events_with_a_broker_is_told_and_used(topic: Topic, words: str | None) -> None:
    assert what_is_wrong(topic, load_settings(kafka_partitions=3)) is None
    said = what_is_risky(topic, wanted=3)
    assert (words is None and said is None) or (said and words and words in said)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("order-events", [f"{name}-events" for name in CATEGORIES]),
        ("a.order-events.b", [f"a.{name}-events.b" for name in CATEGORIES]),
        ("shop", ["shop", "shop-inventory", "shop-payment", "shop-saga", "shop-reader", "shop-customer"]),
    ],
)  # fmt: skip
def test_the_other_topics_are_named_after_that_of_orders(given: str, names: Sequence[str]) -> None:
    assert list(topic_names(load_settings(kafka_topic=given)).values()) == names


async def test_everything_about_an_order_has_the_partition_number_that_kafkas_own_clients_compute_from_its_id(
    kafka: KafkaForAll,
) -> None:
    settings = settings_for(kafka, kafka_partitions=12)
    await make_topics(settings)
    orders = [uuid4() for _ in range(20)]
    client, theirs = Producer({"bootstrap.servers": kafka.brokers, "partitioner": "murmur2_random"}), list[int | None]()
    for order in orders:
        client.produce(
            settings.kafka_topic, key=str(order), on_delivery=lambda _, sent: theirs.append(sent.partition())
        )
        client.flush(10)  # one after the other, so that the answers come in this order

    def number(category: str, order: UUID, stream: UUID) -> int:
        event = StoredEvent(1, StreamId(stream), category, 1, UUID(int=1), "X", 1, "{}", "{}", order, at(1))
        return partition_of(event, 12)

    assert [number("order", order, order) for order in orders] == theirs
    for category in ("payment", "saga"):
        assert [number(category, order, uuid4()) for order in orders] == theirs
    assert [number("inventory", uuid4(), order) for order in orders] == theirs
