"""The audit of a distributed run: each event of the log is in Kafka, and the cache answers what the database says."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import httpx

from tests.chaos.audit import Evidence
from tests.chaos.topics import Copied, read_topics
from tests.support.customers import eventually

ASKED_AT_ONCE = 16
STARTS_WITHIN = 60.0  # seconds
TOPIC = {name: f"{name}-events" for name in ("order", "inventory", "payment", "saga", "reader", "customer")}


def kafka_violations(evidence: Evidence, brokers: str) -> list[str]:
    return list(compare(evidence, read_topics(brokers)))


def compare(evidence: Evidence, copied: Iterable[Copied]) -> Iterator[str]:
    """For each stream its events come first in the order 1, 2, 3 … and are those of the log; repetitions do not count.

    They are in the topic of their kind, and all events of a key in one partition.
    """
    reached = defaultdict[str, int](int)
    places = defaultdict[str, set[tuple[str, int]]](set)
    for one in copied:
        version, known = int(one.event["version"]), evidence.streams.get(one.key, ())
        places[one.key].add((one.topic, one.partition))
        if version > reached[one.key] + 1:
            yield f"in Kafka {one.key} goes on from version {reached[one.key]} to {version}"
        reached[one.key] = max(reached[one.key], version)
        if version > len(known) or str(known[version - 1].event_id) != one.event["event_id"]:
            yield f"Kafka has an event {version} of {one.key} that the log does not have"
    for stream, events in evidence.streams.items():
        if reached[stream] < len(events):
            yield f"Kafka has {reached[stream]} of {len(events)} events of {events[0].category} {stream}"
        if len(places[stream]) > 1 or {topic for topic, _ in places[stream]} - {TOPIC[events[0].category]}:
            yield f"{events[0].category} {stream} is in {sorted(places[stream])}"


async def cache_violations(orders: Sequence[str], cached: str, plain: str) -> list[str]:
    """Ask for each order twice where the cache is used, and once where it is not: all answers are to be the same."""
    room, wrong = asyncio.Semaphore(ASKED_AT_ONCE), list[str]()
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:

        async def answers() -> bool | None:
            with contextlib.suppress(httpx.TransportError):
                return True if (await client.get(f"{plain}/ready")).status_code == 200 else None
            return None

        await eventually(answers, STARTS_WITHIN)

        async def ask(url: str, order: str) -> tuple[int, Mapping[str, object]]:
            answer = await client.get(f"{url}/api/v1/orders/{order}")
            return answer.status_code, answer.json()

        async def one(order: str) -> None:
            async with room:
                truth = await ask(plain, order)
                for _ in range(2):
                    if (answer := await ask(cached, order)) != truth:
                        wrong.append(f"the cache answers {answer} for order {order}, the database {truth}")

        await asyncio.gather(*(one(order) for order in orders))
    return wrong
