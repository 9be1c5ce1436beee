"""Projectors over a real Kafka: filled from the log, from Kafka, and from the log again, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import Consumer, TopicPartition

from core.adapters.kafka.consumer import KafkaTopics
from core.adapters.kafka.partitions import topic_names
from core.projections import STOCK
from core.settings import Settings
from tests.support.daemon_process import DaemonProcess
from tests.support.feeds import as_if_undisturbed
from tests.support.kafka_copier import Copier
from tests.support.kafka_for_all import KafkaForAll
from tests.support.opener import Opener
from tests.support.orders import Sample, write
from tests.support.sharing import Sharer, reached, relayed, running


@pytest.fixture
async def settings(kafka: KafkaForAll) -> AsyncIterator[Settings]:
    name = uuid4().hex[:8]
    mine = Settings(
        kafka_brokers=kafka.brokers, kafka_topic=f"{name}-order-events", kafka_partitions=4, consumer_group=f"g{name}"
    )
    yield mine
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.brokers)
    await admin.start()
    await admin.delete_topics(list(topic_names(mine).values()))
    await admin.close()


async def test_a_reader_of_a_real_kafka_goes_on_after_what_is_no_event_and_shows_how_far_it_is(
    settings: Settings, opener: Opener, dsn: str
) -> None:
    log = Sample(60, payments=True).events()
    sharer = Sharer(opener, KafkaTopics(settings, ["order", "payment"]), "process")
    async with Copier(settings) as copier:
        await relayed(dsn, 0)
        async with running(sharer):
            await write(dsn, log[:100])
            await copier.copy(log[:100])
            await relayed(dsn, 100)
            await reached(dsn, 100)
            for value in (b"no event", b"\xff", None, log[0].envelope().encode()):
                await copier.send("order", 1, value)
            await write(dsn, log[100:])
            await copier.copy(log[100:])
            await copier.copy(log[90:120])
            await relayed(dsn, len(log))
            await reached(dsn, len(log))
        ends = await _ends(settings)
    assert sharer.errors == []
    consumer = Consumer({"bootstrap.servers": settings.kafka_brokers, "group.id": settings.consumer_group})
    places = [TopicPartition(topic, n) for topic, n in ends]
    shown = {(each.topic, each.partition): each.offset for each in consumer.committed(places, timeout=10)}
    consumer.close()
    assert all(shown[place] in {end, -1001} for place, end in ends.items())
    assert sum(offset > 0 for offset in shown.values()) > 2
    await as_if_undisturbed(opener, dsn)


async def _ends(settings: Settings) -> dict[tuple[str, int], int]:
    topics = KafkaTopics(settings, ["order", "payment"])
    await topics.open()
    ends = await topics.ends(topics.places)
    await topics.close()
    return {(place.topic, place.partition): end for place, end in ends.items() if end}


async def test_an_orderdeck_goes_to_kafka_and_back_on_the_same_data(
    settings: Settings, opener: Opener, dsn: str, tmp_path: Path
) -> None:
    log = Sample(150, payments=True).events()
    part = len(log) // 3
    env = {
        "KAFKA_BROKERS": settings.kafka_brokers,
        "KAFKA_TOPIC": settings.kafka_topic,
        "ORDERDECK_KAFKA_PARTITIONS": "4",
        "CONSUMER_GROUP": settings.consumer_group,
    }
    running_now: list[DaemonProcess] = []

    def start(name: str, home: str, given: dict[str, str]) -> DaemonProcess:
        (tmp_path / home).mkdir()
        process = DaemonProcess(name, dsn, tmp_path / home, given)
        process.start()
        running_now.append(process)
        return process

    try:
        from_log = start("projector", "log", {})
        await write(dsn, log[:part])
        await reached(dsn, part, within=60)
        await _end(from_log)
        start("relay", "relay", env)
        one, two = start("projector", "one", env), start("projector", "two", env)
        await write(dsn, log[part : 2 * part])
        for reader in ("relay", "projector.orders", STOCK.reader):
            await reached(dsn, 2 * part, reader, within=60)
        one.kill()
        await _end(two)
        start("projector", "log again", {})
        await write(dsn, log[2 * part :])
        await reached(dsn, len(log), within=60)
    finally:
        for process in running_now:
            process.kill()
    assert "come from Kafka" not in two.output(), two.output()
    await as_if_undisturbed(opener, dsn)


async def _end(process: DaemonProcess) -> None:
    assert process.process is not None
    process.process.terminate()
    assert await asyncio.to_thread(process.process.wait, 20) == 0
