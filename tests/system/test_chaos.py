"""A short chaos with a known seed; with LONG_TESTS=1 also that it notices when a guard is switched off."""

from __future__ import annotations

import os

import pytest

from tests.chaos.mutants import MUTANTS
from tests.chaos.plan import KILLED, Workload, draw
from tests.chaos.run import announce, run

LONG = os.environ.get("LONG_TESTS") == "1"
SEED = 7
SHORT = Workload(orders=60, kills=1, seconds=8, outages=1, redeliveries=1, points=0.4, onlookers=1)


def test_the_same_seed_draws_the_same_plan_and_another_seed_draws_another_plan() -> None:
    first, again, other = draw(SEED, SHORT), draw(SEED, SHORT), draw(SEED + 1, SHORT)
    assert first == again
    assert first.hash == again.hash != other.hash
    assert [strike.target for strike in first.strikes if strike.kind == "kill"].count("saga-runner") == 1


@pytest.mark.timeout(600)
def test_nothing_is_lost_doubled_or_left_open_while_every_daemon_is_killed_and_answers_are_dropped() -> None:
    plan = draw(SEED, SHORT)
    announce(plan)
    report = run(plan)
    assert list(report.violations) == [], str(report)
    assert sum(report.struck[each] for each in report.struck if each.split()[0] in KILLED) == len(KILLED)
    assert len(report.evidence.statuses) > SHORT.orders // 2


@pytest.mark.skipif(not LONG, reason="a minute and more each: LONG_TESTS=1")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MUTANTS)
def test_chaos_notices_a_guard_that_is_switched_off(name: str) -> None:
    mutant = MUTANTS[name]
    if mutant.test:
        assert mutant.telling_line(), f"{mutant.test} does not notice it"
    if mutant.sign:
        report = run(draw(SEED, mutant.workload), mutant=mutant)
        assert mutant.telling_violation(report.violations), str(report)
