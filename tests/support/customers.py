"""Many customers of a running orderdeck at once, over HTTP alone, and an audit of what it has recorded."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from tests.support.command_api import ORDER
from tests.support.stack import Stack

T = TypeVar("T")
ENDS = {"SagaCompleted", "SagaCompensated", "SagaFailed"}
Event = Mapping[str, Any]


class Customers:
    def __init__(self, stack: Stack) -> None:
        def client(port: str) -> httpx.AsyncClient:
            limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
            return httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{stack.port(port)}", trust_env=False, timeout=30, limits=limits
            )

        self.commands, self.queries, self.provider = client("command"), client("query"), client("payment")

    async def place(self, order: Mapping[str, Any] = ORDER) -> str:
        answer = await self.commands.post("/api/v1/orders", json=order, headers={"Idempotency-Key": str(uuid4())})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["order_id"])

    async def put(self, order_id: str, verb: str, body: Mapping[str, Any] | None) -> httpx.Response:
        headers = {"Idempotency-Key": str(uuid4())}
        return await self.commands.put(f"/api/v1/orders/{order_id}/{verb}", headers=headers, json=body)

    async def view(self, order_id: str) -> dict[str, Any]:
        return dict((await self.queries.get(f"/api/v1/orders/{order_id}")).raise_for_status().json())

    async def timeline(self, order_id: str) -> list[Event]:
        answer = await self.queries.get(f"/api/v1/orders/{order_id}/timeline")
        return list(answer.raise_for_status().json()["events"])

    async def events_at_end(self, order_id: str, within: float = 30.0) -> list[Event]:
        """All events of the order, once none of its sagas has anything left to do."""

        async def all_events() -> list[Event] | None:
            events = await self.timeline(order_id)
            types = [event["event_type"] for event in events]
            wanted = sum(kind in {"OrderCreated", "OrderShipped"} for kind in types) + _unwinds(types)
            started = types.count("SagaStarted")
            return events if wanted == started == sum(kind in ENDS for kind in types) else None

        return await eventually(all_events, within)

    async def event_types_at_end(self, order_id: str, within: float = 30.0) -> list[str]:
        """The types of all events of the order, once none of its sagas has anything left to do."""
        return [event["event_type"] for event in await self.events_at_end(order_id, within)]

    async def events_at_end_of(self, orders: Sequence[str], within: float = 30.0) -> dict[str, list[Event]]:
        return dict(
            zip(orders, await run_at_once(16, [self.events_at_end(order, within) for order in orders]), strict=True)
        )

    async def receive(self, sku: str, quantity: int) -> None:
        receipt = await self.commands.post(f"/api/v1/inventory/{sku}/receipts", json={"quantity": quantity})
        assert receipt.status_code == 201, receipt.text

    async def wait_for_stock(self, sku: str, **expected: int) -> None:
        """Wait until the read model of the SKU has these values."""

        async def has_arrived() -> bool | None:
            answer = (await self.queries.get(f"/api/v1/inventory/{sku}")).json()
            return True if expected.items() <= answer.items() else None

        await eventually(has_arrived, 10)

    async def log(self) -> list[Event]:
        events: list[Event] = []
        while True:
            after = events[-1]["position"] if events else 0
            answer = await self.queries.get("/api/v1/events", params={"after": after, "limit": 1000})
            page = answer.raise_for_status().json()["events"]
            if not page:
                return events
            events += page

    async def ledger(self) -> list[dict[str, Any]]:
        """Every charge in the provider's ledger."""
        charges: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = (await self.provider.get("/ledger", params={"after": after})).raise_for_status().json()
            charges += page["charges"]
            after = page["next_cursor"]
        return charges

    async def charges(self) -> dict[str, Any]:
        """The provider's ledger, by order; a second charge of one order would be a failure."""
        charges = await self.ledger()
        orders = [charge["order_id"] for charge in charges if charge["order_id"]]
        assert len(orders) == len(set(orders))
        return {charge["order_id"]: charge for charge in charges}


def _unwinds(types: Sequence[str]) -> bool:
    """Whether a cancellation has to start unwind_order: when fulfil_order was completed before it."""
    if "OrderCancelled" not in types:
        return False
    return "SagaCompleted" in types[: types.index("OrderCancelled")]


@asynccontextmanager
async def open_customers(stack: Stack) -> AsyncIterator[Customers]:
    customers = Customers(stack)
    try:
        yield customers
    finally:
        for client in (customers.commands, customers.queries, customers.provider):
            await client.aclose()


async def run_at_once(clients: int, jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all jobs, at most `clients` of them at a time."""
    room = asyncio.Semaphore(clients)

    async def one(job: Coroutine[Any, Any, T]) -> T:
        async with room:
            return await job

    return await asyncio.gather(*(one(job) for job in jobs))


async def eventually(look: Callable[[], Awaitable[T | None]], within: float) -> T:
    """Call `look` again and again until it returns something, and return that."""
    deadline = time.monotonic() + within
    while True:
        result = await look()
        if result is not None:
            return result
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.02)


def check_log(log: Sequence[Event]) -> dict[str, list[Event]]:
    """Return the log by streams; check that positions and versions have no gaps, and that no id is there twice."""
    assert [event["position"] for event in log] == list(range(1, len(log) + 1))
    assert len({event["event_id"] for event in log}) == len(log)
    assert [event["timestamp"] for event in log] == sorted(event["timestamp"] for event in log)
    streams: dict[str, list[Event]] = defaultdict(list)
    for event in log:
        streams[event["aggregate_id"]].append(event)
    for events in streams.values():
        assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    return streams
