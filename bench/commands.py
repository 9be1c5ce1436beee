"""Measures POST /orders, each with an idempotency key, on command-api and PostgreSQL alone, and the peers beside it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable

import uvloop

from bench.ground import Ground, daemons
from bench.http_load import drive, percentile, request
from bench.peers import INSERT, METADATA, ROW, eventsourcing_rate, pgbench, pgbench_latencies, run_sql
from bench.report import Row

ORDER = (
    b'{"customer_id":"550e8400-e29b-41d4-a716-446655440000","items":[{"product_id":"laptop-001","sku":"LAPTOP-001",'
    b'"quantity":1,"unit_price":1299.99}],"shipping_address":{"street":"123 Main St","city":"San Francisco",'
    b'"state":"CA","zip":"94105","country":"US"}}'
)
PAYLOAD = (
    b'{"order_id":"01a1f8d7-0279-723c-a53b-943697b9206c","customer_id":"550e8400-e29b-41d4-a716-446655440000",'
    b'"order_number":"ORD-BXJQKMEBK2","items":[{"product_id":"laptop-001","sku":"LAPTOP-001","quantity":1,'
    b'"unit_price":1299.99}],"total_amount":1299.99,"currency":"USD","shipping_address":{"street":"123 Main St",'
    b'"city":"San Francisco","state":"CA","zip":"94105","country":"US"},"payment_method":"card",'
    b'"created_at":"2026-11-20T12:03:22.881536Z"}'
)
CLIENTS = (1, 8, 32, 128)


def orders(customer: bytes | None = None) -> Callable[[], bytes]:
    """A function that makes a POST /orders request, each time with a new idempotency key."""
    run, numbers = uuid.uuid4().hex, itertools.count()
    body = ORDER if customer is None else ORDER.replace(b"550e8400-e29b-41d4-a716-446655440000", customer)
    skus = itertools.cycle([b"LAPTOP-001", *(f"SKU-{n:03}".encode() for n in range(1, 51))])

    def make() -> bytes:
        sku = next(skus)
        return request(
            "POST",
            "/api/v1/orders",
            body.replace(b'"LAPTOP-001"', b'"' + sku + b'"'),
            f"Idempotency-Key: {run}-{next(numbers)}\r\n",
        )

    return make


def _alone(ground: Ground, dsn: str, insert: str, clients: int) -> Row:
    """The peer with other numbers of clients, which have a connection each, and PostgreSQL has 100; a second each."""
    rate, latency = pgbench(ground, dsn, insert, clients=clients, seconds=1)
    data = {"peer": "pgbench", "clients": clients, "rate": rate}
    return Row(f"pgbench, the same row, {clients} clients", f"{rate:,.0f}/s  mean {latency:.1f} ms", data=data)


def percentiles(latencies: list[float]) -> dict[str, float]:
    return {f"{each:g}": percentile(latencies, each / 100) for each in (50, 75, 90, 95, 99, 99.9)}


def measure(ground: Ground, seconds: float) -> list[Row]:
    """Measure the peers right before and after the figure of ours that is compared, on an equally busy machine."""
    dsn = ground.database()
    run_sql(dsn, ROW)
    insert = INSERT.format(payload=PAYLOAD.decode(), metadata=METADATA)
    before, _ = pgbench(ground, dsn, insert, clients=32, seconds=seconds)
    rows: list[Row] = []
    rates: dict[int, float] = {}
    p99 = 0.0
    with daemons(ground, dsn, "command-api") as running:
        port = running.ports["command-api"]
        uvloop.run(drive(port, orders(), clients=8, seconds=1))  # warms up: makes plans and fills caches
        for clients in CLIENTS:
            load = uvloop.run(drive(port, orders(), clients=clients, seconds=seconds))
            wrong = {status: n for status, n in load.statuses.items() if status != 201}
            rates[clients] = load.rate
            if clients == 32:
                p99 = load.percentile(0.99)
            figures = f"{load.rate:,.0f}/s  p50 {load.percentile(0.5):.1f} ms  p99 {load.percentile(0.99):.1f} ms"
            rows.append(
                Row(
                    f"POST /orders, {clients} clients",
                    figures + (f"  NOT 201: {wrong}" if wrong else ""),
                    data={
                        "clients": clients,
                        "rate": load.rate,
                        "p50_ms": load.percentile(0.5),
                        "p99_ms": load.percentile(0.99),
                        "percentiles_ms": percentiles(load.latencies),
                    },
                )
            )
    after, latency = pgbench(ground, dsn, insert, clients=32, seconds=seconds)
    inserts = pgbench_latencies(ground, dsn, insert, clients=32, seconds=1)
    rows += [_alone(ground, dsn, insert, clients) for clients in (1, 8, 64)]
    saves = eventsourcing_rate(ground.database(samples=False), PAYLOAD, seconds)
    peer = (before + after) / 2
    share, times = rates[32] / peer, rates[32] / saves
    return [
        *rows,
        Row(
            "pgbench, the same row, 32 clients",
            f"{peer:,.0f}/s  mean {latency:.1f} ms",
            data={"peer": "pgbench", "clients": 32, "rate": peer, "percentiles_ms": percentiles(inserts)},
        ),
        Row("  ours at 32 clients / pgbench", "", share, ">= 0.30x", share >= 0.30),
        Row("  its p99", f"{p99:.1f} ms", reach="< 30 ms", met=p99 < 30),
        Row(
            "pyeventsourcing save(), in process, no HTTP",
            f"{saves:,.0f}/s",
            data={"peer": "pyeventsourcing", "clients": 1, "rate": saves},
        ),
        Row("  ours at 32 clients / pyeventsourcing", "", times, ">= 5x", times >= 5),
    ]
