"""What either side of the sagas is asked to measure, and what it answers: each side is a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.ground import cpu_seconds
from bench.http_load import percentile


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """`levels` are the numbers at once to try, each for so many seconds; no `provider`: the one in the process."""

    dsn: str
    levels: Sequence[int]
    seconds: float
    server: int  # PostgreSQL's process
    provider: str | None = None


class Run(msgspec.Struct, frozen=True):
    """How many ended, how many a second, and for each the CPU of its process and of PostgreSQL in milliseconds."""

    count: int
    rate: float
    cpu: float
    server_cpu: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The best run and at how many at once it was; times in milliseconds, at half of its rate offered steadily."""

    rates: dict[int, float]
    at: int
    best: Run
    p50: float
    p99: float


class Meter:
    """What has been spent since it was made: time, and CPU of this process and of PostgreSQL."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._start = self._now()

    def run(self, count: int) -> Run:
        seconds, own, server = (now - start for now, start in zip(self._now(), self._start, strict=True))
        return Run(count, count / seconds, 1000 * own / max(1, count), 1000 * server / max(1, count))

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), cpu_seconds(self._server)


def fastest(runs: Mapping[int, Run]) -> int:
    """At how many at once it was fastest."""
    return max(runs, key=lambda level: runs[level].rate)


def found(runs: Mapping[int, Run], took: list[float]) -> Found:
    at = fastest(runs)
    rates = {level: run.rate for level, run in runs.items()}
    return Found(rates=rates, at=at, best=runs[at], p50=percentile(took, 0.5), p99=percentile(took, 0.99))


def ask(module: str, task: Task) -> Found:
    """Have a module of the bench measure, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module, msgspec.json.encode(task).decode()],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stdout}{done.stderr}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Found)


def asked() -> Task:
    """The task this process was started for."""
    return msgspec.json.decode(sys.argv[1], type=Task)


def answer(found: Found) -> None:
    print(msgspec.json.encode(found).decode())
