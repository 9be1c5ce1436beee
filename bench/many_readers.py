"""Measures 1, 2 and 4 query APIs on one port, and 1, 2 and 4 projectors that divide the read models between them."""

from __future__ import annotations

import os

import uvloop

from bench.cache import ORDERS, asking, caught_up
from bench.ground import Ground, cpu_seconds, daemons
from bench.http_load import drive
from bench.rebuild import POSITION, filled, watch
from bench.report import Row

CLIENTS = 64
EVENTS = 100_000  # that the projectors read


def query_apis(ground: Ground, counts: tuple[int, ...], seconds: float) -> list[Row]:
    (dsn, _), rows, rates = filled(ground, 4 * ORDERS), list[Row](), dict[int, float]()
    with daemons(ground, dsn, "projector"):
        ids = uvloop.run(caught_up(dsn))
    for count in counts:
        with daemons(ground, dsn, "query-api", counts={"query-api": count}) as running:
            port = running.ports["query-api"]
            uvloop.run(drive(port, asking(ids), clients=CLIENTS, seconds=1))  # warms up
            watched = {
                "query-api": [process.pid for process in running.processes.values()],
                "postgres": [ground.server_pid],
                "the load": [os.getpid()],
            }
            before = {name: sum(map(cpu_seconds, pids)) for name, pids in watched.items()}
            load = uvloop.run(drive(port, asking(ids), clients=CLIENTS, seconds=seconds))
            spent = {name: sum(map(cpu_seconds, pids)) - before[name] for name, pids in watched.items()}
        rates[count] = load.rate
        wrong = {status: n for status, n in load.statuses.items() if status != 200}
        each = {name: 1e6 * cpu / max(1, len(load.latencies)) for name, cpu in spent.items()}
        figures = f"{load.rate:,.0f}/s  p99 {load.percentile(0.99):.0f} ms  CPU us each: {_listed(each)}"
        data = {"query_apis": count, "rate": load.rate, "p99_ms": load.percentile(0.99), "cpu_us": each}
        rows.append(
            Row(f"GET order, {several(count, 'query API')}, {CLIENTS} clients", figures + _wrong(wrong), data=data)
        )
    return rows + [Row(f"  {count} query APIs / 1", "", rates[count] / rates[1]) for count in counts[1:]]


def projectors(ground: Ground, counts: tuple[int, ...]) -> list[Row]:
    """Without Kafka there are two groups of read models, so the third and the fourth projector stand by."""
    rows, rates = list[Row](), dict[int, float]()
    for count in counts:
        dsn, events = filled(ground, EVENTS)
        before = cpu_seconds(ground.server_pid)
        with daemons(ground, dsn, "projector", counts={"projector": count}) as running:
            rates[count], seconds = uvloop.run(watch(dsn, events, POSITION))
            spent = {
                "projector": sum(cpu_seconds(process.pid) for process in running.processes.values()),
                "postgres": cpu_seconds(ground.server_pid) - before,
            }
        each = {name: 1e6 * cpu / events for name, cpu in spent.items()}
        figures = f"{rates[count]:,.0f} events/s ({events:,} in {seconds:.1f} s)  CPU us each: {_listed(each)}"
        data = {"projectors": count, "rate": rates[count], "cpu_us": each}
        rows.append(Row(f"{several(count, 'projector')} from the log", figures, data=data))
    return rows + [Row(f"  {count} projectors / 1", "", rates[count] / rates[1]) for count in counts[1:]]


def several(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _listed(each: dict[str, float]) -> str:
    return "  ".join(f"{name} {cost:.0f}" for name, cost in each.items())


def _wrong(statuses: dict[int, int]) -> str:
    return f"  NOT 200: {statuses}" if statuses else ""
