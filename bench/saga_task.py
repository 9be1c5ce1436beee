"""The task that the bench of the sagas gives to a process, ours or DBOS's, and the result that comes back from it."""

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
    """What to measure: each number of orders at once in `levels`, for `seconds`.

    `provider` is the address of the payment provider; without one, a provider within the process is used.
    """

    dsn: str
    levels: Sequence[int]
    seconds: float
    server: int  # PostgreSQL's process
    provider: str | None = None


class Run(msgspec.Struct, frozen=True):
    """How many orders ended, how many a second, and for each the milliseconds of CPU of our process and PostgreSQL."""

    count: int
    rate: float
    cpu: float
    server_cpu: float


class SagaFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The fastest run and its number of orders at once; and latencies in milliseconds at half of its rate."""

    rates: dict[int, float]
    at: int
    best: Run
    p50: float
    p99: float


class Meter:
    """Measures the time, and the CPU of this process and of PostgreSQL, from its creation on."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._start = self._now()

    def run(self, count: int) -> Run:
        seconds, own, server = (now - start for now, start in zip(self._now(), self._start, strict=True))
        return Run(count, count / seconds, 1000 * own / max(1, count), 1000 * server / max(1, count))

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), cpu_seconds(self._server)


def fastest(runs: Mapping[int, Run]) -> int:
    """The number of orders at once with which the run was fastest."""
    return max(runs, key=lambda level: runs[level].rate)


def figures_of(runs: Mapping[int, Run], took: list[float]) -> SagaFigures:
    at = fastest(runs)
    rates = {level: run.rate for level, run in runs.items()}
    return SagaFigures(rates=rates, at=at, best=runs[at], p50=percentile(took, 0.5), p99=percentile(took, 0.99))


def ask(module: str, task: Task) -> SagaFigures:
    """Run a module of the bench as a process of its own, which measures the task; return its result."""
    done = subprocess.run(
        [sys.executable, "-m", module, msgspec.json.encode(task).decode()],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stdout}{done.stderr}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=SagaFigures)


def read_task() -> Task:
    """The task that the bench gave to this process."""
    return msgspec.json.decode(sys.argv[1], type=Task)


def send(result: SagaFigures) -> None:
    print(msgspec.json.encode(result).decode())
