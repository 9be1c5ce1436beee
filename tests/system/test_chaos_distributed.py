"""A short distributed chaos with a known seed: Kafka, Redis and two of each program; and what its audit would find."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest

from tests.chaos.audit import Evidence, Logged
from tests.chaos.engine_audit import compare
from tests.chaos.engine_plan import Engines
from tests.chaos.plan import Workload, draw
from tests.chaos.run import announce, run
from tests.chaos.topics import Copied
from tests.support.kafka_libraries import kafka_libraries

SEED = 7
SHORT = Workload(
    orders=40,
    kills=1,
    seconds=8,
    onlookers=1,
    killed=("relay", "projector"),
    engines=Engines(
        brokers=1,
        counts={"relay": 2, "projector": 2},
        killed=1,
        redis_flushed=1,
        redis_stopped=1,
        redis_slow=1,
        repeated=3,
    ),
)


def logged(stream: str, category: str, *versions: int) -> list[Logged]:
    return [
        Logged(n, stream, category, n, UUID(int=n), "OrderCreated", {}, {}, stream, datetime.now(UTC)) for n in versions
    ]


def copied(topic: str, key: str, *versions: int, partition: int = 3) -> list[Copied]:
    return [Copied(topic, partition, key, {"version": n, "event_id": str(UUID(int=n))}) for n in versions]


def found(log: Sequence[Logged], copies: Sequence[Copied]) -> list[str]:
    return list(compare(Evidence(log, {}, {}, 0, []), copies))


def test_the_audit_of_kafka_finds_gaps_and_strangers_and_lets_repetitions_pass() -> None:
    log = logged("a", "order", 1, 2, 3)
    assert found(log, copied("order-events", "a", 1, 2, 1, 2, 3, 3, 2)) == []
    assert found(log, copied("order-events", "a", 1, 3, 2)) == ["in Kafka a goes on from version 1 to 3"]
    assert found(log, copied("order-events", "a", 1, 2)) == ["Kafka has 2 of 3 events of order a"]
    assert found(log, []) == ["Kafka has 0 of 3 events of order a"]
    assert "is in [('saga-events', 3)]" in found(log, copied("saga-events", "a", 1, 2, 3))[0]
    moved = copied("order-events", "a", 1, 2) + copied("order-events", "a", 3, partition=4)
    assert "is in [('order-events', 3), ('order-events', 4)]" in found(log, moved)[0]
    assert "an event 4 of a that the log does not have" in found(log, copied("order-events", "a", 1, 2, 3, 4))[0]


def test_a_plan_with_engines_strikes_brokers_one_after_the_other() -> None:
    plan = draw(SEED, Workload(orders=9, kills=0, seconds=300, engines=Engines(killed=4, restarted=2, stopped=1)))
    strikes = [strike for strike in plan.strikes if strike.kind == "broker"]
    assert len(strikes) == 7
    assert all(before.at + before.seconds < after.at for before, after in pairwise(strikes))
    assert draw(SEED, plan.workload).hash == plan.hash


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_doubled_with_kafka_and_redis_while_brokers_relays_projectors_and_redis_are_killed() -> None:
    kafka_libraries()  # skips where they are missing
    plan = draw(SEED, SHORT)
    announce(plan)
    report = run(plan)
    assert list(report.violations) == [], str(report)
    assert {"broker kill", "redis flush", "redis stop", "redis slow", "relay", "projector"} <= report.struck.keys()
    assert any(what.startswith("records sent") for what in report.struck)
    assert any(what.startswith("looked") for what in report.answers.counts)
    assert len(report.evidence.statuses) > SHORT.orders // 2
