"""Projectors over a real Kafka: filled from the log, from Kafka, and from the log again, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import Consumer, TopicPartition
from msgspec.structs import replace

from core.adapters.kafka.consumer import KafkaTopics
from core.adapters.kafka.partitions import topic_names
from core.ports.dead_letters import MOST_BLOCKED
from core.projections import STOCK
from core.services import catch_up_row
from core.settings import Settings
from tests.support.daemon_process import DaemonProcess
from tests.support.feeds import as_if_undisturbed
from tests.support.kafka_copier import Copier
from tests.support.kafka_for_all import KafkaForAll
from tests.support.opener import Opener
from tests.support.orders import Sample, write
from tests.support.sharing import Sharer, reached, relayed, running, shares


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
    shown = await _shown(settings, ends)
    assert all(shown[place] in {end, -1001} for place, end in ends.items())
    assert sum(offset > 0 for offset in shown.values()) > 2
    await as_if_undisturbed(opener, dsn)


async def test_a_reader_of_a_real_kafka_stops_behind_more_than_fifty_rows_and_its_offsets_stay_where_they_are(
    settings: Settings, opener: Opener, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up_row, "LISTEN", 0.1)
    log = Sample(80).events()
    created = [event for event in log if event.event_type == "OrderCreated"]
    bad = {event.position for event in created[: MOST_BLOCKED + 1]}
    sent = [replace(event, payload="{}") if event.position in bad else event for event in log]
    half = created[MOST_BLOCKED].position
    sharer = Sharer(opener, KafkaTopics(settings, ["order", "payment"]), "process")

    async def until_it_stops(times: int) -> None:
        async with asyncio.timeout(15):
            while sum("behind more than 50 the reader stops" in str(error) for error in sharer.errors) < times:
                await asyncio.sleep(0.02)

    async with Copier(settings) as copier:
        await relayed(dsn, 0)
        async with running(sharer):
            for upto, given in ((half - 1, sent[: half - 1]), (half, sent[half - 1 : half])):
                await write(dsn, given)
                await copier.copy(given)
                await relayed(dsn, upto)
                if upto < half:
                    await reached(dsn, upto)
            await until_it_stops(1)
            ends = await _ends(settings)
            offsets, shown = await _saved_offsets(dsn), await _shown(settings, ends)
            assert offsets
            await write(dsn, sent[half:])
            await copier.copy(sent[half:])
            await relayed(dsn, len(log))
            await until_it_stops(1 + len([error for error in sharer.errors if "reader stops" in str(error)]))
            assert await _ends(settings) != ends
            assert (await _saved_offsets(dsn), await _shown(settings, ends)) == (offsets, shown)


async def _saved_offsets(dsn: str) -> dict[int, tuple[int, str]]:
    return {row["share"]: (row["position"], row["offsets"]) for row in await shares(dsn) if row["offsets"] != "{}"}


async def _shown(settings: Settings, ends: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """The offsets that Kafka shows for the group, by topic and partition."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_brokers, "group.id": settings.consumer_group})
    places = [TopicPartition(topic, n) for topic, n in ends]
    shown = await asyncio.to_thread(consumer.committed, places, timeout=10)
    consumer.close()
    return {(each.topic, each.partition): each.offset for each in shown}


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
