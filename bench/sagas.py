"""Sagas: orders through fulfil_order beside a DBOS workflow of three steps, provider in process and over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from bench.ground import Ground, daemons
from bench.report import Row
from bench.saga_task import SagaFigures, Task, ask

OURS = (32, 128, 256)  # orders at once; with more neither side gets faster


@dataclass(frozen=True)
class Peer:
    """What runs one workflow for an order, in a process of its own; `reach`: how many times its rate to reach."""

    what: str
    module: str
    levels: tuple[int, ...]
    reach: float | None = None


DBOS = Peer("DBOS workflows of 3 steps", "bench.dbos_peer", (4, 16, 32), 10)


def measure(ground: Ground, seconds: float) -> list[Row]:
    rows = beside("provider in process", ground, seconds, None, DBOS)
    with daemons(ground, ground.database(), "payment-sandbox") as running:
        provider = f"http://127.0.0.1:{running.ports['payment-sandbox']}"
        return [*rows, *beside("provider over HTTP", ground, seconds, provider, DBOS)]


def beside(how: str, ground: Ground, seconds: float, provider: str | None, peer: Peer) -> list[Row]:
    """Measure our sagas, then the peer, then ours again, so that both meet an equally busy machine."""
    before = _run("bench.saga_desk", ground, ground.database(), OURS, seconds / 2, provider)
    theirs = _run(peer.module, ground, ground.database(samples=False), peer.levels, seconds, provider)
    after = _run("bench.saga_desk", ground, ground.database(), OURS, seconds / 2, provider)
    rate = (before.best.rate + after.best.rate) / 2
    times = rate / theirs.best.rate
    less = 2 * _cpu(theirs) / (_cpu(before) + _cpu(after))
    reach = {} if peer.reach is None else {"reach": f">= {peer.reach}x", "met": times >= peer.reach}
    return [
        _row(f"sagas/s, {how}", after, rate),
        _row(f"{peer.what}/s, {how}", theirs, theirs.best.rate),
        Row(f"  ours / {peer.what.partition(' ')[0]}, {how}", "", times, **reach),
        Row("    in CPU, with PostgreSQL's", "", less),
    ]


def _run(
    module: str, ground: Ground, dsn: str, levels: tuple[int, ...], seconds: float, provider: str | None
) -> SagaFigures:
    task = Task(dsn=dsn, levels=levels, seconds=seconds, server=ground.server_pid, provider=provider)
    return ask(module, task)


def _cpu(result: SagaFigures) -> float:
    return result.best.cpu + result.best.server_cpu


def _row(what: str, result: SagaFigures, rate: float) -> Row:
    figures = (
        f"{rate:,.0f}/s with {result.at} at once, {result.best.cpu:.2f} + {result.best.server_cpu:.2f} ms of CPU each; "
        f"placed to confirmed at half of that p50 {result.p50:.0f} ms p99 {result.p99:.0f} ms"
    )
    data = {
        "rate": rate, "rates": result.rates, "p50_ms": result.p50, "p99_ms": result.p99,
        "cpu_ms": result.best.cpu, "postgres_cpu_ms": result.best.server_cpu,
    }  # fmt: skip
    return Row(what, figures, data=data)
