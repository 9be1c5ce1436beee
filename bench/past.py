"""Measures how long it takes to look at an earlier moment of a long log: one order, and all that a deck shows."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import httpx
import uvloop

from bench.ground import Ground, daemons
from bench.http_load import percentile
from bench.rebuild import POSITION, filled, watch
from bench.report import Row

ORDERS = 200  # that are asked for one after the other
REACH_ORDER = 50.0  # milliseconds
REACH_DECK = 20.0  # seconds the first time
WHOLE_DECK = ("/api/v1/orders?limit=100", "/api/v1/orders/counts", "/api/v1/stats", "/api/v1/inventory?limit=100")
SOME_ORDERS = """
SELECT stream_id, position FROM events
 WHERE event_type = 'OrderConfirmed' AND position > $1::bigint * 9 / 10 ORDER BY event_id LIMIT $2
"""


def measure(ground: Ground, events: float) -> list[Row]:
    dsn, count = filled(ground, int(events))
    with daemons(ground, dsn, "projector", "query-api") as running:
        uvloop.run(watch(dsn, count, POSITION))
        return uvloop.run(_look(dsn, f"http://127.0.0.1:{running.ports['query-api']}", count))


async def _look(dsn: str, url: str, count: int) -> list[Row]:
    connection = await asyncpg.connect(dsn)
    orders = await connection.fetch(SOME_ORDERS, count, ORDERS)
    await connection.close()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        one = [await _seconds(client, f"/api/v1/orders/{row['stream_id']}", row["position"] - 1) for row in orders]
        moment = count * 95 // 100
        began = time.perf_counter()
        await asyncio.gather(*(_made(client, path, moment) for path in WHOLE_DECK))
        deck = time.perf_counter() - began
        now = [await _seconds(client, path, None) for _ in range(20) for path in WHOLE_DECK]
        past = [await _seconds(client, path, moment) for _ in range(20) for path in WHOLE_DECK]
    order = percentile(one, 0.99)
    figures = f"p50 {percentile(one, 0.5):.1f} ms, p99 {order:.1f} ms, over HTTP, of {count:,} events"
    lists = f"p50 {percentile(past, 0.5):.1f} ms, and {percentile(now, 0.5):.1f} ms as of now"
    return [
        Row("one order as of an earlier moment", figures, order / REACH_ORDER, "<= 1x", order <= REACH_ORDER),
        Row(
            "the deck of an earlier moment",
            f"{deck:.1f} s the first time",
            deck / REACH_DECK,
            "<= 1x",
            deck <= REACH_DECK,
        ),
        Row("  its lists afterwards", lists, data={"past": past, "now": now}),
    ]


async def _seconds(client: httpx.AsyncClient, path: str, moment: int | None) -> float:
    began = time.perf_counter()
    (await client.get(_path(path, moment))).raise_for_status()
    return time.perf_counter() - began


async def _made(client: httpx.AsyncClient, path: str, moment: int) -> None:
    while (response := await client.get(_path(path, moment))).status_code == 202:
        await asyncio.sleep(0.1)
    response.raise_for_status()


def _path(path: str, moment: int | None) -> str:
    return path if moment is None else f"{path}{'&' if '?' in path else '?'}as_of={moment}"
