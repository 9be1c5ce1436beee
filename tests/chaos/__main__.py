"""Run chaos: `python -m tests.chaos`; exit code 0 when nothing was lost, doubled or left open."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

from tests.chaos.engine_plan import Engines
from tests.chaos.mutants import MUTANTS, Mutant
from tests.chaos.plan import KILLED, Workload, draw
from tests.chaos.run import announce, run

SHARING = ("relay", "projector", "saga-runner")  # programs of which one takes over when another is gone


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="default: drawn, and printed")
    parser.add_argument("--orders", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=20, help="of each daemon, at random; failpoints come on top")
    parser.add_argument("--minutes", type=float, default=12.0, help="in which the orders and kills come")
    parser.add_argument("--distributed", action="store_true", help="with three Kafka brokers, Redis, and two of each")
    parser.add_argument("--mutant", choices=MUTANTS, help="switch one guard off: a short run, which must fail")
    parser.add_argument("--mutants", action="store_true", help="each of them, one after the other")
    parser.add_argument("--logs", type=Path, help="a folder to keep the daemons' logs in")
    options = parser.parse_args()
    if options.mutants or options.mutant:
        chosen = [MUTANTS[options.mutant]] if options.mutant else list(MUTANTS.values())
        survived = [mutant.name for mutant in chosen if not _is_noticed(mutant, options.seed, options.logs)]
        print(f"mutants not noticed: {', '.join(survived) or 'none'}")
        return 1 if survived else 0
    seconds = 60 * options.minutes
    workload = Workload(
        orders=options.orders,
        kills=options.kills,
        killed=(*KILLED, "relay") if options.distributed else KILLED,
        seconds=seconds,
        frozen=("saga-runner", "projector", "relay")[: 3 if options.distributed else 2] * min(2, int(seconds // 150)),
        outages=int(seconds // 120),
        redeliveries=int(seconds // 120),
        points=options.kills / 2,
        engines=_engines(options.kills, seconds) if options.distributed else None,
    )
    plan = draw(options.seed, workload)
    announce(plan)
    report = run(plan, logs=options.logs)
    print(report)
    return 1 if report.violations else 0


def _engines(kills: int, seconds: float) -> Engines:
    """As many strikes on brokers as there is time for, with half a minute for each."""
    on_brokers = max(1, int(seconds // 30 / 6))
    return Engines(
        away_at_start=10,
        killed=2 * on_brokers,
        restarted=on_brokers,
        frozen=on_brokers,
        stopped=on_brokers,
        redis_flushed=kills,
        redis_stopped=1 + kills // 4,
        redis_frozen=1 + kills // 8,
        redis_slow=1 + kills // 8,
        repeated=2 * kills,
        doubled=SHARING * max(1, kills // 5),
        cut_off=SHARING * max(1, kills // 10),
    )


def _is_noticed(mutant: Mutant, seed: int, logs: Path | None) -> bool:
    """Whether everything that is to notice it does: its test, a run, or both."""
    telling: list[str | None] = []
    print(f"mutant {mutant.name}: {mutant.what}", flush=True)
    if mutant.test:
        telling.append(mutant.telling_line())
        print(f"{mutant.test}\nnoticed by: {telling[-1]}", flush=True)
    if mutant.sign:
        plan = draw(seed, mutant.workload)
        announce(plan, f"; mutant {mutant.name}")
        report = run(plan, mutant=mutant, logs=logs and logs / mutant.name)
        telling.append(mutant.telling_violation(report.violations))
        print(f"{report}\nnoticed by: {telling[-1]}", flush=True)
    return bool(telling) and None not in telling


if __name__ == "__main__":
    sys.exit(main())
