"""Sends orders at a steady rate to a whole stack where fulfil_order confirms them; no reader may fall far behind."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import asyncpg
import uvloop

from bench.commands import orders
from bench.ground import Ground, cpu_seconds, daemons
from bench.http_load import Load, offer, percentile
from bench.report import Row

OFFERED = 280.0  # orders a second; 250 confirmed a second are to be reached
ALL = ("payment-sandbox", "command-api", "query-api", "projector", "saga-runner")

LAGS = """
SELECT (SELECT max(position) FROM events) - min(position) AS events,
       (SELECT count(*) FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING')) AS open
  FROM checkpoints
"""

CONFIRMED = """
SELECT extract(epoch FROM c.recorded_at - o.recorded_at) AS took
  FROM events o JOIN events c ON c.stream_id = o.stream_id AND c.event_type = 'OrderConfirmed'
 WHERE o.event_type = 'OrderCreated'
"""

SPAN = """
SELECT count(*) / greatest(extract(epoch FROM max(recorded_at) - min(recorded_at)), 1)
  FROM events WHERE event_type = 'OrderConfirmed'
"""


@dataclass
class Samples:
    """One sample each second: how many events the slowest reader is behind, and how many sagas are unfinished."""

    lags: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)


def measure(ground: Ground, seconds: float) -> list[Row]:
    dsn = ground.database()
    with daemons(ground, dsn, *ALL) as running:
        before = cpu_seconds(ground.server_pid)
        load, samples, took, rate, drained = uvloop.run(_run(dsn, running.ports["command-api"], seconds))
        spent = {name: cpu_seconds(process.pid) / max(1, len(took)) for name, process in running.processes.items()}
        spent["postgres"] = (cpu_seconds(ground.server_pid) - before) / max(1, len(took))
    half = len(samples.lags) // 2
    flat = max(samples.lags[half:], default=0) <= max(2_000, 2 * max(samples.lags[:half], default=0))
    p99 = percentile(took, 0.99)
    figures = (
        f"{rate:,.0f} confirmed/s of {OFFERED:.0f} offered  POST p99 {load.percentile(0.99):.0f} ms  "
        f"placed to confirmed p50 {percentile(took, 0.5):.0f} ms p99 {p99:.0f} ms"
    )
    data = {
        "offered": OFFERED, "confirmed_per_s": rate, "confirmed": len(took), "statuses": dict(load.statuses),
        "placed_to_confirmed_p50_ms": percentile(took, 0.5), "placed_to_confirmed_p99_ms": p99,
        "cpu_ms_per_order": {name: round(1000 * each, 2) for name, each in spent.items()},
        "lags": samples.lags, "open_sagas": samples.open, "drained_s": drained,
    }  # fmt: skip
    return [
        Row(f"everything on, {seconds:.0f} s", figures, data=data),
        Row("  sustained", f"{rate:,.0f}/s", rate / 250, ">= 250/s", rate >= 250),
        Row("  placed to confirmed", f"p99 {p99:.0f} ms", reach="< 1000 ms", met=p99 < 1000),
        Row("  CPU an order", "  ".join(f"{name} {1000 * each:.2f}" for name, each in spent.items()) + " ms"),
        Row(
            "  lags", f"most {max(samples.lags, default=0)} events, drained in {drained:.1f} s", reach="flat", met=flat
        ),
    ]


async def _run(dsn: str, port: int, seconds: float) -> tuple[Load, Samples, list[float], float, float]:
    connection = await asyncpg.connect(dsn)
    samples = Samples()
    watching = asyncio.create_task(_watch(connection, samples))
    load = await offer(port, orders(), rate=OFFERED, seconds=seconds)
    ended = time.perf_counter()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    while time.perf_counter() - ended < 30:
        row = await connection.fetchrow(LAGS)
        if row["open"] == 0 and row["events"] == 0:
            break
        await asyncio.sleep(0.1)
    drained = time.perf_counter() - ended
    took = [float(row["took"]) for row in await connection.fetch(CONFIRMED)]
    rate = float(await connection.fetchval(SPAN))
    await connection.close()
    return load, samples, took, rate, drained


async def _watch(connection: asyncpg.Connection, samples: Samples) -> None:
    while True:
        await asyncio.sleep(1)
        (row,) = await connection.fetch(LAGS)
        samples.lags.append(row["events"] or 0)
        samples.open.append(row["open"] or 0)
