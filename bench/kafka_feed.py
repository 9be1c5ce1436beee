"""Measures read models that are filled from Kafka: by 1, 2 and 4 projectors, and POST to visible in a list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from bench.ground import Ground, cpu_seconds, daemons
from bench.http_load import percentile
from bench.many_readers import several
from bench.rebuild import filled, watch
from bench.relay import running_kafka
from bench.report import Row
from bench.visible import OFFERED, follow_orders
from core.adapters.kafka.records import event_of
from core.adapters.postgres.read_models.shared_store import json_of
from core.ports.deliveries import TopicMark, TopicPlace
from core.projections import GROUPS

REACH = 40_000  # events a second
PARTITIONS = 12  # of a topic, by default
FEWER = 3
WATCHED_FOR = 5.0  # seconds of orders that are followed until they are seen
COUNTS = (1, 2, 4)  # projectors
RELAYED = "SELECT position FROM checkpoints WHERE reader = 'relay'"
PROGRAMS = ("payment-sandbox", "command-api", "query-api", "projector", "saga-runner", "relay")


def measure(ground: Ground, events: float) -> list[Row]:
    settings = {"KAFKA_BROKERS": running_kafka(ground).brokers}
    rows = _from_full_topics(ground, settings, int(events))
    # In topics of its own, since those have the events of another log. A new broker would run code that Java has
    # not compiled yet.
    for count in FEWER, PARTITIONS:
        more = {"KAFKA_TOPIC": f"visible{count}.order-events", "ORDERDECK_KAFKA_PARTITIONS": str(count)}
        rows += _visible(ground, {**settings, **more}, count)
    return rows


def _from_full_topics(ground: Ground, settings: Mapping[str, str], events: int) -> list[Row]:
    dsn, count = filled(ground, events)
    with daemons(ground, dsn, "relay", settings=settings):
        uvloop.run(watch(dsn, count, RELAYED))
    rows, rates = list[Row](), dict[int, float]()
    for projectors in COUNTS:
        uvloop.run(_begin_at_the_first_records(dsn, settings["KAFKA_BROKERS"]))
        before = cpu_seconds(ground.server_pid)
        with daemons(ground, dsn, "projector", counts={"projector": projectors}, settings=settings) as running:
            seconds = uvloop.run(_watch(dsn, count))
            spent = {
                "projector": sum(cpu_seconds(process.pid) for process in running.processes.values()),
                "postgres": cpu_seconds(ground.server_pid) - before,
            }
        rates[projectors] = rate = count / seconds
        data = {"projectors": projectors, "events": count, "rate": rate, "seconds": seconds, "cpu_seconds": spent}
        figures = f"{rate:,.0f} events/s ({count:,} events in {seconds:.1f} s)"
        rows.append(Row(f"{several(projectors, 'projector')} from Kafka", figures, data=data))
        rows.append(Row("  CPU an event", "  ".join(f"{name} {1e6 * cpu / count:.1f}" for name, cpu in spent.items())))
    rows += [Row(f"  {n} projectors / 1", "", rates[n] / rates[1]) for n in COUNTS[1:]]
    return [*rows, Row(f"  one, of {REACH:,} events/s", "", rates[1] / REACH, ">= 1x", rates[1] >= REACH)]


async def _begin_at_the_first_records(dsn: str, brokers: str) -> None:
    """Empty the read models, with marks after the first record of each place.

    So a projector reads the topics and not the log.
    """
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=brokers)
    await consumer.start()
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"TRUNCATE {', '.join(model.name for group in GROUPS for model in group.models)}")
    for group in GROUPS:
        await connection.execute("DELETE FROM checkpoints WHERE reader = $1", group.reader)
        await connection.execute("DELETE FROM reader_shares WHERE reader = $1", group.reader)
        await connection.execute(
            "INSERT INTO checkpoints (reader, position, revision) VALUES ($1, 0, $2)", group.reader, group.revision
        )
        for number in range(PARTITIONS):
            marks: dict[TopicPlace, TopicMark] = {}
            for source in group.projection.sources:
                place = TopicPlace(f"{source.category}-events", number)
                consumer.assign([TopicPartition(*place)])
                consumer.seek(TopicPartition(*place), 0)
                async with asyncio.timeout(5):
                    first = event_of((await consumer.getone()).value)
                if first is not None:
                    marks[place] = TopicMark(1, first.event_id, first.position)
            await connection.execute(
                "INSERT INTO reader_shares (reader, share, position, offsets, saves) VALUES ($1, $2, 0, $3, 1)",
                group.reader,
                number,
                json_of(marks),
            )
    await connection.close()
    await consumer.stop()


async def _watch(dsn: str, count: int) -> float:
    """Seconds from the first save of a share until both groups have every event."""
    connection = await asyncpg.connect(dsn)
    began = 0.0
    while True:
        saves = await connection.fetchval("SELECT max(saves) FROM reader_shares WHERE reader LIKE 'projector.%'")
        if saves > 1 and not began:
            began = time.perf_counter()
        if await connection.fetchval("SELECT min(position) FROM checkpoints WHERE reader LIKE 'projector.%'") >= count:
            break
        await asyncio.sleep(0.01)
    await connection.close()
    return time.perf_counter() - began


def _visible(ground: Ground, settings: Mapping[str, str], partitions: int) -> list[Row]:
    dsn = ground.database()
    with daemons(ground, dsn, *PROGRAMS, settings=settings) as running:
        took, _, load = uvloop.run(follow_orders(running.ports["command-api"], running.ports["query-api"], WATCHED_FOR))
    p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
    data = {
        "partitions": partitions,
        "p50_ms": p50,
        "p99_ms": p99,
        "watched": len(took),
        "statuses": dict(load.statuses),
    }
    return [
        Row(
            f"POST to visible over Kafka, {partitions} partitions, {OFFERED:.0f}/s",
            f"p50 {p50:.1f} ms  p99 {p99:.1f} ms",
            data=data,
        ),
        Row("  its p50", f"{p50:.1f} ms", reach="<= 15 ms", met=p50 <= 15),
        Row("  its p99", f"{p99:.1f} ms", reach="<= 60 ms", met=p99 <= 60),
    ]
