"""Onlookers ask for the newest orders again and again: the answers about an order must never go back in time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

import httpx

from tests.chaos.answers import Answers
from tests.support.customers import Customers

AT_ONCE = 4
NEWEST = 8  # orders, which change while they are asked for
PAUSE = 0.02  # seconds


async def look_on(customers: Customers, answers: Answers, seed: int) -> None:
    """Go on until this is cancelled. An answer that is older than one before is noted as wrong."""
    rng, seen, placed = random.Random(seed), Counter[str](), answers.orders

    async def one() -> None:
        while True:
            await asyncio.sleep(PAUSE)
            if not placed:
                continue
            order = rng.choice(list(placed)[-NEWEST:])
            before = seen[order]
            with contextlib.suppress(httpx.HTTPError, ValueError):
                answer = await customers.queries.get(f"/api/v1/orders/{order}")
                if answer.status_code != 200:
                    continue
                version = int(answer.json()["version"])
                answers.counts[f"looked {answer.headers.get('X-Cache', 'without cache')}"] += 1
                if version < before:
                    answers.wrong.append(f"order {order} was answered at version {before}, and then at {version}")
                seen[order] = max(version, seen[order])

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
