"""Onlookers ask for the newest orders again and again: the answers about an order must never go back in time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from tests.chaos.answers import Answers
from tests.chaos.plan import Plan
from tests.chaos.refills import Refills
from tests.support.customers import Customers

NEWEST = 8  # orders, which change while they are asked for
PAUSE = 0.02  # seconds
LATER = 0.2  # seconds, once the last fault has ended: what is left changes slowly


async def look_on(
    customers: Customers, answers: Answers, refills: Refills, plan: Plan, calm_at: Callable[[], float | None]
) -> None:
    """Go on until this is cancelled. An answer that is older than one before is noted as wrong.

    While read models are filled again after a crash of PostgreSQL, it may be older, and is counted.
    """
    rng, placed = random.Random(plan.seed), answers.orders
    seen: dict[str, tuple[int, str]] = {}  # the newest version of each order, and how it was answered

    async def one() -> None:
        while True:
            await asyncio.sleep(PAUSE if calm_at() is None else LATER)
            if not placed:
                continue
            order = rng.choice(list(placed)[-NEWEST:])
            (before, how_before), asked_at = seen.get(order, (0, "")), time.monotonic()
            with contextlib.suppress(httpx.HTTPError, ValueError):
                answer = await customers.queries.get(f"/api/v1/orders/{order}")
                if answer.status_code != 200:
                    continue
                version, how = int(answer.json()["version"]), answer.headers.get("X-Cache", "without cache")
                answers.counts[f"looked {how}"] += 1
                how = f"{version} ({how}, {answer.headers['Orderdeck-Read-From']}, {datetime.now(UTC):%H:%M:%S.%f})"
                if version < before and refills.cover(asked_at):
                    answers.counts["looked older after a crash"] += 1
                elif version < before:
                    answers.wrong.append(f"order {order} was answered at version {how_before}, then at {how}")
                elif version > before:
                    seen[order] = max(seen.get(order, (0, "")), (version, how))

    await asyncio.gather(*(one() for _ in range(plan.workload.onlookers)))
