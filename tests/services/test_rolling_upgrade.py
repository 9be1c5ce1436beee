"""A rolling upgrade: this release writes version 2 of OrderCreated while the one before, which knows 1, still runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from core.domain.message import OrderId, saga_of
from core.domain.order import ConfirmOrder
from tests.support.command_api import ADDRESS
from tests.support.order_desk import Desk, now
from tests.support.ports import free_port
from tests.support.release_before import OlderDaemon, check_out

ORDER: dict[str, Any] = {
    "customer_id": "c-1",
    "items": [{"product_id": "A", "sku": "A", "quantity": 1, "unit_price": "12.50"}],
    "shipping_address": ADDRESS,
    "payment_method": "card",
}
COMMANDS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("PUT", "confirm", None),
    ("PUT", "cancel", {"reason": "x"}),
    ("PUT", "ship", {"tracking_number": "1Z", "carrier": "UPS"}),
    ("PUT", "deliver", None),
    ("POST", "refund", {"amount": 1, "reason": "x"}),
]
OF_SAGAS = ("retry", "skip-step", "compensate", "resolve")
WAITS = "waits for a later release: this release does not know event OrderCreated in schema 2"


async def until(holds: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.05)


async def test_the_release_before_refuses_what_it_does_not_know_and_nothing_is_lost(
    desk: Desk, dsn: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(check_out, tmp_path)
    await desk.stock(A=10)
    connection = await asyncpg.connect(dsn)
    nowhere = {"ORDERDECK_PAYMENT_URL": f"http://127.0.0.1:{free_port()}"}

    async def last_error(order: OrderId) -> str:
        row = "SELECT last_error FROM sagas WHERE saga_id = $1 AND owner IS NULL"
        return await connection.fetchval(row, saga_of(order, "fulfil_order")) or ""

    with contextlib.ExitStack() as older:
        api = older.enter_context(OlderDaemon(tmp_path, "command_api", dsn))
        runner = older.enter_context(OlderDaemon(tmp_path, "saga_runner", dsn, nowhere))
        await until(lambda: asyncio.to_thread(api.is_ready))
        await until(lambda: asyncio.to_thread(runner.is_ready))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}/api/v1", trust_env=False) as http:
            placed = await http.post("/orders", json=ORDER)
            assert placed.status_code == 201, placed.text
            old, new = OrderId(UUID(placed.json()["order_id"])), await desk.place()
            await until(lambda: last_error(new))
            saga = saga_of(new, "fulfil_order")
            for method, path, body in (
                *((method, f"/orders/{new}/{verb}", body) for method, verb, body in COMMANDS),
                *(("POST", f"/sagas/{saga}/{verb}", {"reason": "x"}) for verb in OF_SAGAS),
            ):
                answer = await http.request(method, path, json=body)
                assert (answer.status_code, answer.json()["code"]) == (503, "unknown_event"), (path, answer.text)
                assert answer.headers["retry-after"] == "60"
            assert await last_error(new) == WAITS
            assert await desk.domain(new) == ["OrderCreated"]
            # What it knows goes on meanwhile, in both releases alike.
            assert (await http.put(f"/orders/{old}/confirm")).status_code == 200
            await desk.do(ConfirmOrder(now=now(), order_id=old))
            assert "OrderConfirmed" in await desk.domain(old)
    # The last process of the release before has ended.
    await connection.execute("UPDATE sagas SET due_at = now() WHERE due_at IS NOT NULL")
    async with desk.running("of this release"):
        assert await desk.ended(old) == await desk.ended(new) == "SagaCompleted"
    assert [event.schema_version for order in (old, new) for event in (await desk.timeline(order))[:1]] == [1, 2]
    for order in (old, new):
        assert sorted(await desk.domain(order)) == [
            "InventoryReserved", "OrderConfirmed", "OrderCreated", "PaymentAuthorized"
        ]  # fmt: skip
    await connection.close()
