"""Measures how long after the answer to its POST an order appears in its customer's list, at 200 orders a second."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid

import uvloop

from bench.commands import orders
from bench.ground import Ground, daemons
from bench.http_load import Load, offer, percentile, request
from bench.report import Row

OFFERED = 200.0  # orders a second, including those that are watched
WATCHED = 20.0  # orders a second whose list is read until they appear; not more, since reading is load too
LOOK_EVERY = 0.001  # seconds between two looks


def measure(ground: Ground, seconds: float) -> list[Row]:
    dsn = ground.database()
    with daemons(ground, dsn, "payment-sandbox", "command-api", "query-api", "projector", "saga-runner") as running:
        took, read, load = uvloop.run(follow_orders(running.ports["command-api"], running.ports["query-api"], seconds))
    p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
    own = f"p50 {percentile(read, 0.5):.1f} ms  p99 {percentile(read, 0.99):.1f} ms"
    data = {"list_p50_ms": p50, "list_p99_ms": p99, "watched": len(took), "statuses": dict(load.statuses)}
    return [
        Row(
            f"POST answered to visible in a list, {OFFERED:.0f} orders/s",
            f"p50 {p50:.1f} ms  p99 {p99:.1f} ms",
            data=data,
        ),
        Row("  its p50", f"{p50:.1f} ms", reach="< 15 ms", met=p50 < 15),
        Row("  its p99", f"{p99:.1f} ms", reach="< 50 ms", met=p99 < 50),
        Row("  GET of the order itself, right after the POST", own, data={"p99_ms": percentile(read, 0.99)}),
    ]


async def follow_orders(commands: int, queries: int, seconds: float) -> tuple[list[float], list[float], Load]:
    took: list[float] = []
    read: list[float] = []
    others = asyncio.create_task(offer(commands, orders(), rate=OFFERED - WATCHED, seconds=seconds))
    await asyncio.sleep(1.0)  # in the first second plans and caches are made, so it is not measured
    tasks: list[asyncio.Task[None]] = []
    for _ in range(round(WATCHED * (seconds - 1.5))):
        tasks.append(asyncio.create_task(_follow(commands, queries, took, read)))
        await asyncio.sleep(1 / WATCHED)
    await asyncio.gather(*tasks)
    return took, read, await others


async def _follow(commands: int, queries: int, took: list[float], read: list[float]) -> None:
    customer = str(uuid.uuid4())
    reader, writer = await asyncio.open_connection("127.0.0.1", queries)
    make = orders(customer.encode())
    poster, post = await asyncio.open_connection("127.0.0.1", commands)
    post.write(make())
    order = json.loads(await answer_of(poster))["order_id"]
    answered = time.perf_counter()
    writer.write(request("GET", f"/api/v1/orders/{order}"))
    await answer_of(reader)
    read.append(time.perf_counter() - answered)
    if await is_listed(reader, writer, customer):
        took.append(time.perf_counter() - answered)
    post.close()
    writer.close()


async def is_listed(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, customer: str, every: float = LOOK_EVERY
) -> bool:
    """Wait until the customer's list on this connection has an order; False if it has none after many looks.

    `every`: seconds between two looks.
    """
    ask = request("GET", f"/api/v1/customers/{customer}/orders")
    for _ in itertools.repeat(None, 5_000):
        writer.write(ask)
        if json.loads(await answer_of(reader))["total"]:
            return True
        await asyncio.sleep(every)
    return False


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    at = head.find(b"content-length: ")
    return await reader.readexactly(int(head[at + 16 :].split(b"\r\n", 1)[0]))
