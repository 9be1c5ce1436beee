"""What happens in a distributed run to Kafka, to Redis, to what they hold, and to programs that share their work."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.chaos.strike import Strike

COUNTS = {"command-api": 2, "query-api": 2, "projector": 2, "saga-runner": 2, "relay": 2}
AWAY = (3.0, 9.0)  # seconds
SLOW = (5.0, 15.0)  # seconds
LONGER_THAN_A_LEASE = (14.0, 20.0)  # seconds
APART = 6.0  # seconds between the ends of two broker strikes: a quorum of three has to come back in between


@dataclass(frozen=True)
class Engines:
    """How often each thing happens. `counts`: how many processes of each program run.

    `away_at_start`: seconds after which the brokers start, counted from the start of the programs.
    `killed` brokers, of which every second one leads a partition of the orders, `restarted` and `frozen` ones come one
    after the other, and so do the times when all of them are `stopped`. While a leader or all are away, a relay is
    killed that has sent something to them.
    `doubled`: programs of which one more process comes for a while; `cut_off`: of which one more loses its network to
    the database for longer than a lease.
    `repeated`: times that records are sent to a topic again: the same ones in a row, old ones, or many in disorder.
    """

    brokers: int = 3
    counts: Mapping[str, int] = field(default_factory=lambda: COUNTS)
    away_at_start: float = 0.0
    killed: int = 0
    restarted: int = 0
    frozen: int = 0
    stopped: int = 0
    redis_flushed: int = 0
    redis_stopped: int = 0
    redis_frozen: int = 0
    redis_slow: int = 0
    repeated: int = 0
    doubled: tuple[str, ...] = ()
    cut_off: tuple[str, ...] = ()


def draw_strikes(rng: random.Random, engines: Engines, seconds: float) -> Iterator[Strike]:
    yield from _on_brokers(rng, engines, seconds)

    def some_time() -> float:
        return rng.uniform(0.05, 0.95) * seconds

    for how, count in (
        ("flush", engines.redis_flushed),
        ("stop", engines.redis_stopped),
        ("freeze", engines.redis_frozen),
        ("slow", engines.redis_slow),
    ):
        for _ in range(count):
            yield Strike(some_time(), "redis", how=how, seconds=rng.uniform(*(SLOW if how == "slow" else AWAY)))
    for number in range(engines.repeated):
        yield Strike(some_time(), "repeat", how=("again", "old", "shuffled")[number % 3])
    for program in engines.doubled:
        yield Strike(some_time(), "double", program, seconds=rng.uniform(*SLOW))
    for program in engines.cut_off:
        yield Strike(some_time(), "cut", program, seconds=rng.uniform(*LONGER_THAN_A_LEASE))


def _on_brokers(rng: random.Random, engines: Engines, seconds: float) -> Iterator[Strike]:
    """One after the other, each with time to come back: two of three that are away at once stop all writing anyway."""
    kinds = [("leader" if number % 2 else "kill") for number in range(engines.killed)]
    kinds += ["restart"] * engines.restarted + ["freeze"] * engines.frozen + ["stop all"] * engines.stopped
    rng.shuffle(kinds)
    share = 0.9 * seconds / max(1, len(kinds))
    for number, how in enumerate(kinds):
        away = min(rng.uniform(*AWAY), max(0.5, share - APART))
        at = 0.05 * seconds + number * share + rng.uniform(0, max(0.0, share - away - APART))
        yield Strike(at, "broker", str(rng.randint(1, engines.brokers)), how, away)
