"""Measures pages of 20 orders a second by every kind of filter, with few orders and with many, beside GET by id.

Each round has a short turn of everything, so that other work on the machine slows all of it alike. Of each filter, the
clients first ask for many different pages, and then all for the same one, whose reads they share.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import statistics
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg
import uvloop

from bench.ground import Ground, cpu_seconds, daemons
from bench.http_load import drive, request
from bench.list_orders import CUSTOMERS_OF, DAYS, RARE_OF, UNCOMMON, copy_views
from bench.rebuild import POSITION, watch
from bench.rebuild import filled as filled_log
from bench.report import Row

FEW = 10_000  # orders
CLIENTS = 32
PROCESSES = 2  # of the query API
ROUNDS = 3
BY_ID = "GET of an order by its id"
DEEP = 32  # pages of each list that are asked for, the first and those after it
TEMPLATES = 1_000  # orders that are folded, and then copied
REACH = 6_000  # pages a second
FLAT = 1.3

Paths = Mapping[str, list[str]]


def measure(ground: Ground, orders: float) -> list[Row]:
    rates: dict[int, dict[str, float]] = {}
    rows: list[Row] = []
    for count in sorted({FEW, int(orders)}):
        dsn = filled(ground, count)
        with daemons(ground, dsn, "query-api", counts={"query-api": PROCESSES}) as running:
            pids = {"query-api": [process.pid for process in running.processes.values()]}
            pids["PostgreSQL"] = [ground.server_pid]
            paths = uvloop.run(requests(running.ports["query-api"], dsn, count))
            found = uvloop.run(rounds(running.ports["query-api"], paths, pids))
        rates[count] = {what: figures["rate"] for what, figures in found.items()}
        rows += [_row(count, what, figures) for what, figures in found.items()]
    few, many = min(rates), max(rates)
    for what in rates[many] if few != many else ():
        slower = rates[few][what] / max(1.0, rates[many][what])
        rows.append(Row(f"  {what}: {few:,} orders / {many:,}", "", slower, f"<= {FLAT}x", slower <= FLAT))
    return rows


def filled(ground: Ground, orders: int) -> str:
    """A database with so many orders."""
    dsn, events = filled_log(ground, 4 * TEMPLATES)
    with daemons(ground, dsn, "projector"):
        uvloop.run(watch(dsn, events, POSITION))
    uvloop.run(copy_views(dsn, orders))
    return dsn


async def requests(port: int, dsn: str, orders: int) -> Paths:
    """The addresses that are asked for, by what they are."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT order_id::text, order_number FROM order_views LIMIT 500")
    await connection.close()
    today = datetime.now(UTC).date()
    week = f"created_from={today - timedelta(days=DAYS // 2)}&created_to={today - timedelta(days=DAYS // 2 - 6)}"
    lists = {
        "all orders": [""],
        "sorted by total": ["sort=-total_amount"],
        "sorted by change, oldest first": ["sort=updated_at"],
        "a status": ["status=DELIVERED"],
        "a status of few": ["status=CREATED"],
        "two statuses": ["status=CREATED,CONFIRMED"],
        "not a status": ["not_status=DELIVERED"],
        "a payment's status": ["payment=AUTHORIZED"],
        "a customer": [f"customer_id=customer-{n}" for n in range(0, orders // CUSTOMERS_OF, max(1, orders // 2_000))],
        "from a total": ["min_total=500"],
        # Of these, the fewest orders are just a page: to ask all clients for it would be to ask for the same page.
        "a range of totals": [f"min_total={n}&max_total={n + 2}" for n in range(100, 900, 10)],
        "a range of totals, sorted by it": ["min_total=500&max_total=600&sort=total_amount"],
        "a SKU that many orders have": [f"sku=SKU-{n:03}" for n in range(10)],
        "a SKU that five orders have": [f"sku=RARE-{n}" for n in range(min(200, orders // 100 // RARE_OF))],
        "a SKU that one order in 500 has": [f"sku=UNCOMMON-{n}" for n in range(UNCOMMON)],
        "a week": [week],
        "a week in hours": [week.replace("&", "T07:30:00Z&") + "T11:00:00Z"],
        "start of an order number": [f"q={row['order_number'][:11]}" for row in rows],
        "a currency": ["currency=USD"],
        "a status and a SKU": ["status=DELIVERED&sku=SKU-001"],
        "a status, from a total, in a week": [f"status=SHIPPED&min_total=500&{week}"],
        "a SKU and a status that no order has": ["sku=RARE-1&status=CREATED"],
    }
    paths = {BY_ID: [f"/api/v1/orders/{row['order_id']}" for row in rows]}
    for what, queries in lists.items():
        paths[what] = [f"/api/v1/orders?{query}" for query in queries]
        if len(queries) == 1:
            paths[what] += await _later_pages(port, paths[what][0])
    return paths


async def _later_pages(port: int, first: str) -> list[str]:
    found = list[str]()
    while len(found) < DEEP - 1 and (cursor := (await _get(port, found[-1] if found else first))["next_cursor"]):
        found.append(f"{first}&cursor={quote(cursor)}")
    return found


async def _get(port: int, path: str) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("GET", path, headers="Connection: close\r\n"))
    head, body = (await reader.read()).split(b"\r\n\r\n", 1)
    writer.close()
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"{path}: {head.decode()}\n{body.decode()}")
    return json.loads(body)


async def rounds(
    port: int, paths: Paths, pids: Mapping[str, list[int]], seconds: float = 0.15
) -> dict[str, dict[str, Any]]:
    """The medians of a few turns of each; `same` are those of the turns in which all ask for the same page."""
    turns: dict[str, list[dict[str, Any]]] = {what: [] for what in paths}
    same: dict[str, list[dict[str, Any]]] = {what: [] for what in paths}
    for turn in range(ROUNDS + 1):
        for what, some in paths.items():
            figures = await _turn(port, some, pids, seconds)
            if turn:  # the first warms up
                turns[what].append(figures)
                same[what].append(await _turn(port, some[:1], pids, seconds))
    by_id = [figures["rate"] for figures in turns[BY_ID]]
    return {what: _medians(several, by_id) | {"same": _medians(same[what], by_id)} for what, several in turns.items()}


def _medians(several: list[dict[str, Any]], by_id: list[float]) -> dict[str, Any]:
    return {
        "rate": statistics.median(each["rate"] for each in several),
        "of_by_id": statistics.median(each["rate"] / beside for each, beside in zip(several, by_id, strict=True)),
        "p99_ms": statistics.median(each["p99_ms"] for each in several),
        "cpu_us": {name: statistics.median(each["cpu_us"][name] for each in several) for name in several[0]["cpu_us"]},
        "wrong": sum(each["wrong"] for each in several),
    }


async def _turn(port: int, paths: list[str], pids: Mapping[str, list[int]], seconds: float) -> dict[str, Any]:
    before = {name: sum(map(cpu_seconds, some)) for name, some in pids.items()}
    wanted = itertools.cycle([request("GET", path) for path in random.sample(paths, len(paths))])
    load = await drive(port, lambda: next(wanted), clients=CLIENTS, seconds=seconds)
    used = {name: sum(map(cpu_seconds, some)) - before[name] for name, some in pids.items()}
    used = {name: 1e6 * seconds / max(1, len(load.latencies)) for name, seconds in used.items()}
    wrong = sum(n for status, n in load.statuses.items() if status != 200)
    return {"rate": load.rate, "p99_ms": load.percentile(0.99), "cpu_us": used, "wrong": wrong}


def _row(orders: int, what: str, figures: Mapping[str, Any]) -> Row:
    text = f"{_told(figures)}; the same page: {_told(figures['same'])}"
    if wrong := figures["wrong"] + figures["same"]["wrong"]:
        text += f"  NOT 200: {wrong}"
    reach = {} if what == BY_ID else {"reach": f">= {REACH:,}/s", "met": figures["rate"] >= REACH}
    return Row(f"{orders:,} orders: {what}", text, figures["of_by_id"], **reach, data={"orders": orders, **figures})


def _told(figures: Mapping[str, Any]) -> str:
    cpu = ", ".join(f"{name} {us:.0f}" for name, us in figures["cpu_us"].items())
    return f"{figures['rate']:,.0f}/s  p99 {figures['p99_ms']:.1f} ms  CPU us each: {cpu}"
