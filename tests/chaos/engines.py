"""The Kafka and the Redis of a distributed run, and what happens to them and to what they hold."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.chaos.engine_plan import Engines
from tests.chaos.strike import Strike
from tests.chaos.topics import repeat_records
from tests.support.kafka import Kafka
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.tcp_link import TcpLink

ANSWERS_AFTER = 0.2  # seconds, of a slow Redis
TRIES, TRY_AGAIN = 5, 2.0  # seconds between them
QUIET = {"log_level": 0}  # brokers are away on purpose


@dataclass
class RunningEngines:
    plan: Engines
    kafka: Kafka
    redis: RedisServer
    link: TcpLink
    rng: random.Random
    done: Counter[str] = field(default_factory=Counter)
    _redis_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _broker_turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def settings(self) -> dict[str, str]:
        """The environment of an orderdeck that uses them."""
        counts = {
            f"ORDERDECK_{program.replace('-', '_').upper()}_COUNT": str(count)
            for program, count in self.plan.counts.items()
        }
        return counts | {
            "KAFKA_BROKERS": self.kafka.brokers,
            "ORDERDECK_KAFKA_REPLICATION": str(self.plan.brokers),
            "REDIS_URL": f"redis://{self.link.address}/0",
        }

    @contextmanager
    def away_at_start(self) -> Iterator[None]:
        """Stop all brokers before the block, and start them after it, when the plan says so."""
        if self.plan.away_at_start:
            self.kafka.stop()
        yield
        if self.plan.away_at_start:
            self.done["brokers away at start"] += 1
            self.kafka.start()

    async def strike(self, strike: Strike, kill_relay: Callable[[], Awaitable[None]]) -> None:
        """`kill_relay` is called while brokers are away that have got events and cannot say that they keep them."""
        match strike.kind:
            case "broker":
                async with self._broker_turn:
                    await self._strike_broker(strike, kill_relay)
            case "redis":
                async with self._redis_turn:
                    await self._strike_redis(strike)
            case _:
                for _ in range(TRIES):  # the brokers may be away
                    count = await asyncio.to_thread(repeat_records, self.kafka.brokers, strike.how, self.rng.random())
                    self.done[f"records sent {strike.how}"] += count
                    if count:
                        return
                    await asyncio.sleep(TRY_AGAIN)

    async def _strike_broker(self, strike: Strike, kill_relay: Callable[[], Awaitable[None]]) -> None:
        number = int(strike.target)
        if strike.how == "leader":
            number = await asyncio.to_thread(self._leader) or number
        match strike.how:
            case "stop all":
                await asyncio.to_thread(self.kafka.stop)
                await asyncio.sleep(strike.seconds / 2)
                await kill_relay()
                await asyncio.sleep(strike.seconds / 2)
                self.kafka.spawn()
                await asyncio.to_thread(self.kafka.wait_until_ready)
            case "restart":
                await asyncio.to_thread(self.kafka.stop, number)
                self.kafka.spawn(number)
                await asyncio.to_thread(self.kafka.wait_until_ready, number)
            case "freeze":
                self.kafka.pause(number)
                await asyncio.sleep(strike.seconds)
                self.kafka.resume(number)
            case _:
                self.kafka.kill(number)
                await asyncio.sleep(strike.seconds / 2)
                if strike.how == "leader":
                    await kill_relay()
                await asyncio.sleep(strike.seconds / 2)
                self.kafka.spawn(number)
                await asyncio.to_thread(self.kafka.wait_until_ready, number)
        self.done[f"broker {strike.how}"] += 1

    def _leader(self) -> int | None:
        """The broker that leads a partition of the orders."""
        try:
            topics = AdminClient({"bootstrap.servers": self.kafka.brokers, **QUIET}, logger=None).list_topics(timeout=5)
            partitions = topics.topics["order-events"].partitions
            return self.rng.choice([each.leader for each in partitions.values() if each.leader > 0])
        except (KafkaException, KeyError, IndexError):
            return None

    async def _strike_redis(self, strike: Strike) -> None:
        match strike.how:
            case "flush":
                await asyncio.to_thread(self.redis.flush)
            case "stop":
                self.redis.kill()
                await asyncio.sleep(strike.seconds)
                self.redis.start()
            case "freeze":
                self.link.freeze()
                await asyncio.sleep(strike.seconds)
                self.link.mend()
            case _:
                self.link.slow(ANSWERS_AFTER)
                await asyncio.sleep(strike.seconds)
                self.link.mend()
        self.done[f"redis {strike.how}"] += 1


@contextmanager
def running_engines(plan: Engines, folder: Path, seed: int) -> Iterator[RunningEngines]:
    with (
        Kafka(folder / "kafka", count=plan.brokers) as kafka,
        RedisServer(folder) as redis,
        TcpLink(redis.port, free_port()) as link,
    ):
        yield RunningEngines(plan, kafka, redis, link, random.Random(seed))
