"""Emmett, an event store for Node, beside ours: the same event, each time in a new stream, in the same PostgreSQL.

A peer for who has it: `npm ci --prefix bench/node`. It appends in process, with a connection for each append that is
under way, by the function that it creates in the database. `bench/node/emmett.mjs` is all that runs in Node.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from statistics import mean
from typing import Any

import uvloop

from bench.appends import append_orders
from bench.commands import PAYLOAD, orders
from bench.ground import ROOT, Ground, daemons
from bench.http_load import Load, drive
from bench.report import Row

NODE = ROOT / "bench" / "node"
AT_ONCE = (1, 8, 32)
MISSING = "not installed: it needs Node 20 and `npm ci --prefix bench/node`"

Loads = dict[int, Load]


def measure(ground: Ground, seconds: float) -> list[Row]:
    """Measure ours before and after the peer, so that both meet an equally busy machine."""
    if not shutil.which("node") or not (NODE / "node_modules").is_dir():
        return [Row("Emmett, appends in process", MISSING)]
    dsn = ground.database()
    with daemons(ground, dsn, "command-api") as running:
        port = running.ports["command-api"]
        uvloop.run(drive(port, orders(), clients=8, seconds=1))  # warms up: makes plans and fills caches
        before = _ours(dsn, port, seconds / 2)
        peer = _emmett(ground.database(samples=False), seconds)
        after = _ours(dsn, port, seconds / 2)
    rows: list[Row] = []
    for at_once in AT_ONCE:
        theirs: dict[str, Any] = peer["figures"][str(at_once)]
        figures = f"{theirs['rate']:,.0f}/s  p50 {theirs['p50_ms']:.1f} ms  p99 {theirs['p99_ms']:.1f} ms"
        data = {"at_once": at_once, **theirs, **peer["versions"], "connections": peer["connections"]}
        rows.append(Row(f"Emmett, appends in process, {at_once} at once", figures, data=data))
        for n, what in enumerate(("POST of orders", "orders appended in process")):
            loads = [turn[n][at_once] for turn in (before, after)]
            rate = mean(load.rate for load in loads)
            p99 = mean(load.percentile(0.99) for load in loads)
            figures = f"{rate:,.0f}/s  p50 {mean(load.percentile(0.5) for load in loads):.1f} ms  p99 {p99:.1f} ms"
            data = {"at_once": at_once, "rate": rate, "p99_ms": p99}
            rows.append(Row(f"  our {what} / Emmett", figures, rate / theirs["rate"], data=data))
    return rows


def _ours(dsn: str, port: int, seconds: float) -> tuple[Loads, Loads]:
    """POST of orders, and orders appended in process."""
    posted = {n: uvloop.run(drive(port, orders(), clients=n, seconds=seconds)) for n in AT_ONCE}
    if wrong := {status for load in posted.values() for status in load.statuses if status != 201}:
        raise SystemExit(f"orders were answered {wrong}")
    return posted, {n: uvloop.run(append_orders(dsn, at_once=n, seconds=seconds)) for n in AT_ONCE}


def _emmett(dsn: str, seconds: float) -> dict[str, Any]:
    task = {"dsn": dsn, "payload": json.loads(PAYLOAD), "levels": AT_ONCE, "seconds": seconds}
    done = subprocess.run(
        ["node", NODE / "emmett.mjs", json.dumps(task)],  # noqa: S607 - the one that the operator has
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the Emmett peer failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
