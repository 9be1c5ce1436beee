"""Measures the relay on a Kafka of its own: events a second from a full log, and how soon an idle one sends one."""

from __future__ import annotations

import asyncio
import time
import uuid

import uvloop
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from uuid_utils.compat import uuid7

from bench.ground import Ground, cpu_seconds, daemons
from bench.http_load import percentile
from bench.rebuild import filled, watch
from bench.report import Row
from core.adapters.postgres.connection import connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.domain.inventory import StockReplenished
from core.domain.message import Metadata, Sku, inventory_stream
from core.ports.log import Append, Entry, NewEvent
from tests.support.kafka import Kafka

REACH = 50_000  # events a second
SOON = 5.0  # milliseconds, half of the events
POSITION = "SELECT position FROM checkpoints WHERE reader = 'relay'"
WATCHED = 200  # events that are sent one by one
TOPICS = "relayed."  # what the names of the topics of this part begin with
TOPIC, PARTITIONS = f"{TOPICS}inventory-events", 12


def measure(ground: Ground, events: float) -> list[Row]:
    dsn, count = filled(ground, int(events))
    kafka = running_kafka(ground)
    [broker] = [node.process.pid for node in kafka.nodes if node.process is not None]
    settings = {"KAFKA_BROKERS": kafka.brokers, "KAFKA_TOPIC": f"{TOPICS}order-events"}
    before = (cpu_seconds(ground.server_pid), cpu_seconds(broker))
    with daemons(ground, dsn, "relay", settings=settings) as running:
        rate, seconds = uvloop.run(watch(dsn, count, POSITION))
        spent = {
            "relay": cpu_seconds(running.processes["relay"].pid),
            "postgres": cpu_seconds(ground.server_pid) - before[0],
            "kafka": cpu_seconds(broker) - before[1],
        }
        took = uvloop.run(_one_by_one(dsn, kafka.brokers))
    p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
    each = {name: 1e6 * cpu / count for name, cpu in spent.items()}
    data = {"events": count, "rate": rate, "seconds": seconds, "cpu_us_per_event": each, "p50_ms": p50, "p99_ms": p99}
    figures = f"{rate:,.0f} events/s ({count:,} events in {seconds:.1f} s, four topics)"
    return [
        Row("relay, a full log", figures, data=data),
        Row(f"  of {REACH:,} events/s", "", rate / REACH, ">= 1x", rate >= REACH),
        Row("  CPU an event", "  ".join(f"{name} {cpu:.1f}" for name, cpu in each.items()) + " us"),
        Row("  recorded to read from Kafka, idle", f"p50 {p50:.1f} ms  p99 {p99:.1f} ms", None, "< 5 ms", p50 < SOON),
    ]


def running_kafka(ground: Ground) -> Kafka:
    return ground.running("kafka", lambda: Kafka(ground.folder / "kafka"))


async def _one_by_one(dsn: str, brokers: str) -> list[float]:
    """Seconds from the commit of each event until a consumer has it, while nothing else is going on."""
    store = PostgresEventStore(lambda: connect(dsn, name="bench"))
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers)
    await consumer.start()
    consumer.assign([TopicPartition(TOPIC, number) for number in range(PARTITIONS)])
    await consumer.seek_to_end()
    took: list[float] = []
    for number in range(WATCHED):
        sku = Sku(f"NEW-{number}")
        event = NewEvent(uuid7(), StockReplenished(sku=sku, quantity=1), Metadata(correlation_id=uuid.uuid4()))
        await store.append(Append([Entry(inventory_stream(sku), "inventory", 0, [event])]))
        committed = time.perf_counter()
        await consumer.getone()
        took.append(time.perf_counter() - committed)
        await asyncio.sleep(0.02)
    await consumer.stop()
    await store.close()
    return took[WATCHED // 10 :]  # in the first ones connections are made and plans cached
