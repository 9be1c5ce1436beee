"""Onlookers ask for the newest orders again and again: the answers about an order must never go back in time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable

import httpx

from tests.chaos.answers import Answers
from tests.support.customers import Customers

AT_ONCE = 4
NEWEST = 8  # orders, which change while they are asked for
PAUSE = 0.02  # seconds


async def look_on(customers: Customers, answers: Answers, crashes: Callable[[], int], seed: int) -> None:
    """Go on until this is cancelled. An answer that is older than one before is noted as wrong.

    `crashes` counts those of PostgreSQL: the last changes of read models may be lost in one, and are made again.
    """
    rng, seen, placed = random.Random(seed), Counter[tuple[str, int]](), answers.orders

    async def one() -> None:
        while True:
            await asyncio.sleep(PAUSE)
            if not placed:
                continue
            order = rng.choice(list(placed)[-NEWEST:])
            era = crashes()
            before = seen[order, era]
            with contextlib.suppress(httpx.HTTPError, ValueError):
                answer = await customers.queries.get(f"/api/v1/orders/{order}")
                if answer.status_code != 200:
                    continue
                version, how = int(answer.json()["version"]), answer.headers.get("X-Cache", "without cache")
                answers.counts[f"looked {how}"] += 1
                if version < before and era == crashes():
                    answers.wrong.append(f"order {order} was answered at version {before}, then at {version} ({how})")
                seen[order, era] = max(version, seen[order, era])

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
