"""Asks a small log and a large one the same things by turns, one after the other, so that both meet the same machine.

All of it is one client's, and each time is that of one answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from statistics import median
from uuid import UUID

import asyncpg
import uvloop

from bench.appends import new_order
from bench.commands import orders
from bench.deck_terminal import running_deck
from bench.ground import Daemons, Ground, daemons
from bench.http_load import request
from core.adapters.postgres.connection import Connection, Link, connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.domain.message import StreamId

MOST = 1_500  # answers of each kind from each log
WARM_UP = 20
DECKS = 3
CLAIMED = 16  # sagas at once
PROGRAMS = ("command-api", "query-api")
SOME = "SELECT order_id::text, customer_id FROM order_views TABLESAMPLE SYSTEM ($1) LIMIT 2000"
SHARE = "SELECT least(100, 5e6 / greatest(1, count(*))) FROM order_views"
WAITING = f"""
UPDATE sagas SET status = 'RUNNING', owner = NULL, claims = 0, due_at = now() WHERE saga_id IN (
    SELECT saga_id FROM sagas WHERE status = 'COMPLETED' LIMIT {CLAIMED}) RETURNING saga_id
"""
AGAIN = "UPDATE sagas SET owner = NULL, claims = 0, due_at = now() WHERE saga_id = ANY ($1)"
ENDED = "UPDATE sagas SET status = 'COMPLETED', owner = NULL, due_at = NULL WHERE saga_id = ANY ($1)"

Ask = Callable[[], Awaitable[object]]
Pair = tuple[float, float]
"""Of the small log and of the large one."""


class HttpClient:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes) -> None:
        reader, writer = self._streams = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(sent)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        at = head.find(b"content-length: ")
        await reader.readexactly(int(head[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0)
        if head[9:10] != b"2":
            raise SystemExit(f"{sent[:100]!r}: {head.decode()}")


@contextlib.asynccontextmanager
async def asks_of(dsn: str, running: Daemons) -> AsyncIterator[Mapping[str, Ask]]:
    """What one log is asked; `claim_us` leaves claimed sagas behind that the next `again` frees."""

    async def open_connection() -> Connection:
        return await connect(dsn, name="bench")

    owner = await asyncpg.connect(dsn)
    some = await owner.fetch(SOME, await owner.fetchval(SHARE))
    waiting = [row[0] for row in await owner.fetch(WAITING)]
    ids, customers = (itertools.cycle([row[n] for row in some]) for n in (0, 1))
    to_load = itertools.cycle(reversed([UUID(row[0]) for row in some]))
    store, log, make = PostgresEventStore(open_connection), PostgresSagaLog(Link(open_connection)), orders()
    commands, queries = (HttpClient(running.ports[name]) for name in PROGRAMS)

    def get(path: str) -> Awaitable[None]:
        return queries.ask(request("GET", f"/api/v1/orders{path}"))

    async def claim() -> None:
        claimed = await log.claim("bench", limit=CLAIMED, lease=timedelta(hours=1))
        if len(claimed) != len(waiting):
            raise SystemExit(f"{len(claimed)} sagas were claimed, not {len(waiting)}")

    yield {
        "append_us": lambda: store.append(new_order()),
        "post_us": lambda: commands.ask(make()),
        "get_us": lambda: get(f"/{next(ids)}"),
        "load_us": lambda: store.load(StreamId(next(to_load))),
        "list_us": lambda: get(""),
        "customer_us": lambda: get(f"?customer_id={next(customers)}"),
        "claim_us": claim,
        "again": lambda: owner.execute(AGAIN, waiting),
    }
    await owner.execute(ENDED, waiting)
    await owner.close()
    await store.close()


async def by_turns(few: Mapping[str, Ask], many: Mapping[str, Ask], seconds: float) -> dict[str, Pair]:
    """Microseconds within which half of the answers came, by what was asked."""
    found: dict[str, Pair] = {}
    for what in few:
        if what == "again":
            continue
        took: tuple[list[float], list[float]] = ([], [])
        until = time.perf_counter() + seconds
        while len(took[0]) < WARM_UP + MOST and time.perf_counter() < until:
            both = list(zip(took, (few, many), strict=True))
            for times, log in both if len(took[0]) % 2 else reversed(both):
                begin = time.perf_counter()
                await log[what]()
                times.append(time.perf_counter() - begin)
                if what == "claim_us":
                    await log["again"]()
        small, large = (1e6 * median(times[WARM_UP:] or times) for times in took)
        found[what] = small, large
    return found


def measure_pairs(ground: Ground, few: str, many: str, seconds: float) -> dict[str, Pair]:
    with daemons(ground, few, *PROGRAMS) as small, daemons(ground, many, *PROGRAMS) as large:

        async def ask() -> dict[str, Pair]:
            async with asks_of(few, small) as of_few, asks_of(many, large) as of_many:
                return await by_turns(of_few, of_many, seconds)

        found = uvloop.run(ask())
        return {**found, "deck_ms": _decks(small.ports["query-api"], large.ports["query-api"])}


def _decks(few: int, many: int) -> Pair:
    """Milliseconds from the start of a deck until it shows its first page of orders; the least of some starts."""
    took: dict[int, list[float]] = {few: [], many: []}
    for _ in range(DECKS):
        for port, times in took.items():
            with running_deck(port) as deck:
                deck.until("row 1/")
                times.append(1000 * (time.perf_counter() - deck.started))
    return min(took[few]), min(took[many])
