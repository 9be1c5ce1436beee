"""The relay: whatever fails, Kafka gets every event, and no event of a stream before one that precedes it."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient

from core.adapters.kafka import producer
from core.adapters.kafka.partitions import topic_names
from core.adapters.kafka.producer import KafkaBroker
from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.shares import PostgresShares
from core.adapters.postgres.subscription import PostgresSubscription
from core.codec import StoredEvent
from core.errors import Unavailable
from core.ports.broker import Sending
from core.services.relay import READER, SHARE, Relay
from core.services.shares import LEASE
from core.settings import Settings, load_settings
from tests.support.customers import eventually
from tests.support.daemon_process import DaemonProcess
from tests.support.kafka_for_all import KafkaForAll
from tests.support.opener import Opener
from tests.support.orders import Sample, write
from tests.support.ports import free_port
from tests.support.raw_http import request, send
from tests.support.sent import must_have_no_gap, read, reader_of
from tests.support.tcp_link import TcpLink

PARTITIONS = 3
SOON = 60.0  # seconds, on a busy machine
LOG = Sample(150, payments=True).events()


class Desk:
    """A log, its topics, and a relay within the test."""

    def __init__(self, dsn: str, opener: Opener, settings: Settings) -> None:
        self.dsn, self.opener, self.settings = dsn, opener, settings
        self.shares = PostgresShares(Link(opener))
        self.kept = 0
        self.stop = asyncio.Event()
        self.relay = Relay(self.shares, KafkaBroker(settings), self._first_of, self._count)

    def _count(self, number: int) -> None:
        self.kept += number

    async def _first_of(self, category: str) -> int | None:
        return next((event.position for event in LOG if event.category == category), None)

    async def run(self, owner: str = "one") -> None:
        epochs = await self.shares.keep(READER, owner, count=1, lease=LEASE)
        await self.relay.run(PostgresSubscription(self.opener), epochs[SHARE], self.stop, begun=lambda: None)

    async def has_saved(self, position: int) -> bool:
        return [share.position for share in await self.shares.read(READER)] == [position]

    def must_all_be_sent(self, events: Sequence[StoredEvent], brokers: str = "") -> int:
        """Read everything; return how many messages are duplicates."""
        topics = topic_names(self.settings).values()
        with reader_of(brokers or self.settings.kafka_brokers, topics, PARTITIONS) as consumer:
            messages = read(consumer, until=len(events))
        must_have_no_gap(messages)
        assert {message.value["event_id"] for message in messages} == {str(event.event_id) for event in events}
        return len(messages) - len(events)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async def look() -> bool | None:
        return await holds() or None

    await eventually(look, SOON)


async def is_true(value: object) -> bool:
    return bool(value)


def settings_for(brokers: str, topic: str = "") -> Settings:
    topic = topic or f"{uuid4().hex[:12]}.order-events"
    return load_settings(kafka_brokers=brokers, kafka_topic=topic, kafka_partitions=PARTITIONS)


@pytest.fixture
async def desk(kafka: KafkaForAll, dsn: str, opener: Opener) -> Desk:
    return Desk(dsn, opener, settings_for(kafka.brokers))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Kafka less time than a person would."""
    monkeypatch.setattr(producer, "ACKNOWLEDGED_WITHIN", 1.0)
    monkeypatch.setattr(producer, "STOP_LIMIT", 0.5)


async def run_until_saved(desk: Desk, position: int) -> None:
    running = asyncio.create_task(desk.run())
    await until(lambda: desk.has_saved(position))
    desk.stop.set()
    await running


async def test_every_event_is_sent_once_in_the_order_of_its_stream_and_the_position_is_saved(desk: Desk) -> None:
    await write(desk.dsn, LOG)
    await run_until_saved(desk, len(LOG))
    assert desk.must_all_be_sent(LOG) == 0
    assert desk.kept == len(LOG)


async def test_topics_that_somebody_has_deleted_are_made_anew_and_get_the_whole_log(desk: Desk) -> None:
    await write(desk.dsn, LOG[:300])
    await run_until_saved(desk, 300)
    admin = AIOKafkaAdminClient(bootstrap_servers=desk.settings.kafka_brokers)
    await admin.start()
    await admin.delete_topics([topic_names(desk.settings)["payment"]])
    await admin.close()
    desk.stop.clear()
    await write(desk.dsn, LOG[300:])
    await run_until_saved(desk, len(LOG))
    desk.must_all_be_sent(LOG)
    assert desk.kept == 300 + len(LOG)


class Failing:
    """A connection to Kafka on which the batches of these numbers are refused after they were handed over."""

    def __init__(self, real: Any, refused: Collection[int], error: Exception) -> None:
        self.real, self.refused, self.error, self.number = real, refused, error, 0
        handed, producer = real._producer.send_batch, real._producer

        async def send_batch(batch: Any, topic: str, *, partition: int) -> Any:
            self.number += 1
            if self.number in self.refused:
                failed = asyncio.get_running_loop().create_future()
                failed.set_exception(self.error)
                return failed
            return await handed(batch, topic, partition=partition)

        producer.send_batch = send_batch


@pytest.mark.parametrize("error", [errors.OutOfOrderSequenceNumber(), errors.ProducerFenced(), errors.UnknownError()])
async def test_a_fatal_error_of_the_producer_leaves_no_gap_and_a_new_one_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(producer, "BATCH_BYTES", 2_000)  # so that each partition has several batches
    await write(desk.dsn, LOG)
    opened = desk.relay._broker.open
    refusals = iter([[4], [1], [9, 30], []])

    async def open_one_that_fails() -> Sending:
        return Failing(await opened(), next(refusals), error).real

    monkeypatch.setattr(desk.relay._broker, "open", open_one_that_fails)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await desk.run()
    await run_until_saved(desk, len(LOG))
    assert desk.must_all_be_sent(LOG) > 0


@pytest.mark.usefixtures("quick")
async def test_a_kafka_that_is_frozen_cut_off_and_slow_gets_everything_once_it_is_back(
    dsn: str, opener: Opener, kafka: KafkaForAll, kafka_link: TcpLink
) -> None:
    desk = Desk(dsn, opener, settings_for(kafka_link.address))
    await write(dsn, LOG[:200])
    await run_until_saved(desk, 200)
    for fault, after in ((kafka_link.freeze, 260), (kafka_link.cut, 320)):
        desk.stop.clear()
        running = asyncio.create_task(desk.run())
        await until(lambda: is_true(desk.relay.connected))
        fault()
        await write(dsn, LOG[after - 60 : after])
        with pytest.raises(Unavailable, match=r"has not kept events of|cannot be reached"):
            await asyncio.wait_for(running, 15)
        kafka_link.mend()
        await run_until_saved(desk, after)
    kafka_link.slow(0.1)
    desk.stop.clear()
    await write(dsn, LOG[320:400])
    await run_until_saved(desk, 400)
    desk.must_all_be_sent(LOG[:400], kafka.brokers)


async def test_two_relays_at_once_leave_no_gap_and_the_older_one_saves_nothing_more(
    desk: Desk, kafka: KafkaForAll
) -> None:
    await write(desk.dsn, LOG[:100])
    older = asyncio.create_task(desk.run("older"))
    await until(lambda: desk.has_saved(100))
    await desk.shares.leave(READER, ["older"])  # as if its lease had run out while it was frozen
    newer = Desk(desk.dsn, desk.opener, desk.settings)
    running = asyncio.create_task(newer.run("newer"))
    await until(lambda: is_true(newer.relay.connected))
    for begin in range(100, 400, 50):
        await write(desk.dsn, LOG[begin : begin + 50])
        await asyncio.sleep(0.02)
    await asyncio.wait_for(older, 15)  # it has seen that it was replaced
    await until(lambda: newer.has_saved(400))
    newer.stop.set()
    await running
    desk.must_all_be_sent(LOG[:400])


async def test_the_program_says_an_outage_and_a_fault_in_words_and_survives_kill_and_freeze(
    dsn: str, kafka: KafkaForAll, kafka_link: TcpLink, tmp_path: Path, admin: Connection
) -> None:
    settings = settings_for(kafka_link.address)
    environment = {
        "KAFKA_BROKERS": kafka_link.address,
        "KAFKA_TOPIC": settings.kafka_topic,
        "ORDERDECK_KAFKA_PARTITIONS": str(PARTITIONS),
        "SCHEMA_REGISTRY_URL": (nowhere := f"http://127.0.0.1:{free_port()}"),
    }
    kafka_link.cut()
    relay = DaemonProcess("relay", dsn, tmp_path, environment)
    (tmp_path / "two").mkdir()
    second = DaemonProcess("relay", dsn, tmp_path / "two", environment)

    async def says(status: int, words: str, daemon: DaemonProcess = relay) -> bool:
        answered, reason = await daemon.ready()
        return answered == status and re.search(words, reason) is not None

    async def has_saved(position: int) -> bool:
        return await admin.fetchval("SELECT position FROM checkpoints WHERE reader = 'relay'") == position

    try:
        await write(dsn, LOG[:100])
        relay.start()
        await until(lambda: says(503, r"Kafka cannot be reached: 127.0.0.1:\d+: Connection refused"))
        kafka_link.mend()
        await until(lambda: has_saved(100))
        await until(lambda: says(200, ""))
        told = (await asyncio.to_thread(send, relay.port, request(target="/ready"))).document["degraded"]
        assert f"schemas of events are not registered: the schema registry at {nowhere} is away" in told
        second.start()
        await until(lambda: says(200, "", second))
        assert relay.process is not None
        await write(dsn, LOG[100:200])
        await until(lambda: has_saved(200))
        relay.process.send_signal(signal.SIGSTOP)
        await write(dsn, LOG[200:300])
        await until(lambda: has_saved(300))
        relay.process.send_signal(signal.SIGCONT)
        await write(dsn, LOG[300:400])
        second.kill()
        await until(lambda: has_saved(400))
        kafka_link.freeze()
        await write(dsn, LOG[400:500])
        await until(lambda: says(503, "Kafka has not kept the last events for"))
        kafka_link.mend()
        await until(lambda: has_saved(500))
        Desk(dsn, None, settings).must_all_be_sent(LOG[:500], kafka.brokers)  # type: ignore[arg-type]
    finally:
        relay.kill()
        second.kill()
