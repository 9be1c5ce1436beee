"""A command API of a test's own: the real daemon on a free port, over a fresh database."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from uuid_utils.compat import uuid7

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.domain.message import Metadata, OrderId, StreamId, payment_of, saga_of
from core.domain.payment import PaymentAuthorized, PaymentCaptured
from core.domain.saga import SagaCompleted, SagaStarted
from core.ports.log import Accepted, Append, Entry, NewEvent
from tests.support.daemon_process import DaemonProcess

ADDRESS = {"street": "1 Market St", "city": "San Francisco", "state": "CA", "zip": "94105", "country": "US"}
ITEM = {"product_id": "LAPTOP-001", "sku": "LAPTOP-001", "quantity": 1, "unit_price": 1299.00}
ORDER: dict[str, Any] = {"customer_id": "customer-1", "items": [ITEM], "shipping_address": ADDRESS}
PRICE = Decimal("1299.00")
SHIPMENT = {"tracking_number": "1Z999", "carrier": "UPS"}
STARTS_WITHIN = 60.0

_numbers = itertools.count(1)


class CommandApi:
    """`http` speaks to it; `rows` is the log as it is."""

    def __init__(self, dsn: str, folder: Path, settings: dict[str, str] | None = None) -> None:
        self.dsn = dsn
        self._daemon = DaemonProcess("command_api", dsn, folder, settings or {})
        self.port = self._daemon.port
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=20)
        self.store = PostgresEventStore(lambda: connect(dsn, name="test"))

    async def start(self) -> None:
        self._daemon.start()
        deadline = time.monotonic() + STARTS_WITHIN
        while (await self._daemon.ready())[0] != 200:
            assert time.monotonic() < deadline, self._daemon.output()
            await asyncio.sleep(0.02)

    def kill(self) -> None:
        """Kill the daemon as `kill -9` does."""
        self._daemon.kill()

    def output(self) -> str:
        return self._daemon.output()

    async def close(self) -> None:
        self._daemon.kill()
        await self.http.aclose()
        await self.store.close()

    # --- commands -------------------------------------------------------------------------------------------
    async def create(self, order: Mapping[str, Any] = ORDER, **headers: str) -> httpx.Response:
        return await self.http.post("/api/v1/orders", json=order, headers=_names(headers))

    async def put(
        self, order_id: object, verb: str, body: Mapping[str, Any] | None = None, query: str = "", **headers: str
    ) -> httpx.Response:
        return await self.http.put(f"/api/v1/orders/{order_id}/{verb}{query}", headers=_names(headers), json=body)

    async def receive(self, sku: str, body: Mapping[str, Any], query: str = "", **headers: str) -> httpx.Response:
        return await self.http.post(f"/api/v1/inventory/{sku}/receipts{query}", json=body, headers=_names(headers))

    async def placed_order(self) -> str:
        answer = await self.create()
        assert answer.status_code == 201, answer.text
        return str(answer.json()["order_id"])

    async def fulfilled_order(self) -> str:
        """An order that is confirmed, and whose fulfilment has ended."""
        order_id = await self.placed_order()
        saga_id = saga_of(OrderId(UUID(order_id)), "fulfil_order")
        metadata = Metadata(correlation_id=UUID(order_id))
        events = [
            SagaStarted(saga_id=saga_id, name="fulfil_order", definition=1, order_id=OrderId(UUID(order_id))),
            SagaCompleted(saga_id=saga_id),
        ]
        entry = Entry(StreamId(saga_id), "saga", 0, [NewEvent(uuid7(), event, metadata) for event in events])
        assert isinstance(await self.store.append(Append([entry])), Accepted)
        assert (await self.put(order_id, "confirm")).status_code == 200
        return order_id

    async def shipped_order(self) -> str:
        order_id = await self.fulfilled_order()
        assert (await self.put(order_id, "ship", SHIPMENT)).status_code == 200
        return order_id

    async def paid_order(self) -> str:
        """A shipped order whose whole amount is captured."""
        order_id = await self.shipped_order()
        await self.pay(order_id)
        return order_id

    async def pay(self, order_id: str) -> None:
        """Record that the price of a laptop in USD was captured for an order."""
        order = OrderId(UUID(order_id))
        payment = payment_of(order)
        about: dict[str, Any] = {"payment_id": payment, "order_id": order, "amount": PRICE, "currency": "USD"}
        events = [
            PaymentAuthorized(**about, payment_method="card", authorization_code="a-1"),
            PaymentCaptured(**about, transaction_id="t-1"),
        ]
        new = [NewEvent(uuid7(), event, Metadata(correlation_id=order)) for event in events]
        assert isinstance(await self.store.append(Append([Entry(StreamId(payment), "payment", 0, new)])), Accepted)

    async def delivered_order(self) -> str:
        order_id = await self.shipped_order()
        assert (await self.put(order_id, "deliver")).status_code == 200
        return order_id

    async def cancelled_order(self) -> str:
        order_id = await self.fulfilled_order()
        assert (await self.put(order_id, "cancel", {"reason": "changed my mind"})).status_code == 200
        return order_id

    # --- the log --------------------------------------------------------------------------------------------
    async def head(self) -> int:
        return await self.store.head()

    async def types(self, order_id: str) -> list[str]:
        return [type(event.event).__name__ for event in await self.store.load(StreamId(UUID(order_id)))]


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    """Header names as arguments: Idempotency_Key is Idempotency-Key."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


@asynccontextmanager
async def command_api(
    postgres: EmbeddedPostgres, template: str, folder: Path, settings: dict[str, str] | None = None
) -> AsyncIterator[CommandApi]:
    name = f"commands{next(_numbers)}"
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    api = CommandApi(postgres.dsn(name), folder, settings)
    try:
        await api.start()
        yield api
    finally:
        await api.close()
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


def problem(answer: httpx.Response, status: int, code: str, *fields: str) -> dict[str, Any]:
    """The problem document of an answer, which must have this status, code, and exactly these wrong fields."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:300]}"
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code", "error", "errors"} == set(document)
    assert (document["status"], document["code"]) == (status, code), document
    assert document["error"] == document["detail"] != ""
    assert [wrong["field"] for wrong in document["errors"]] == list(fields)
    return document
