"""Measures how long `orderdeck verify` takes for confirmed orders with their sagas, stock, payments and read models."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import uvloop
from uuid_utils.compat import uuid7

from bench.ground import Ground, daemons
from bench.rebuild import ADDRESS, COLUMNS, CUSTOMERS, SKUS, stored_row
from bench.report import Row
from core.adapters.postgres.connection import connect
from core.adapters.postgres.evidence import open_evidence
from core.audit.verification import Report, Verification
from core.domain import saga as sagas
from core.domain.inventory import InventoryReserved, StockReplenished
from core.domain.message import Event, OrderId, Sku, inventory_stream, payment_of, reservation_of, saga_of
from core.domain.order import CARD, Item, OrderConfirmed, OrderCreated
from core.domain.payment import PaymentAuthorized
from core.domain.provider import Charge
from core.sagas import SAGAS

EVENTS_EACH = 11
REACH = 60.0  # seconds for a million
SAGA_COLUMNS = [
    "saga_id", "name", "definition", "order_id", "status", "step", "attempts", "epoch", "claims", "started_at",
    "updated_at",
]  # fmt: skip


def measure(ground: Ground, events: float) -> list[Row]:
    dsn = ground.database(samples=False)
    ledger = uvloop.run(_fill(dsn, int(events) // EVENTS_EACH))
    with daemons(ground, dsn, "projector"):
        uvloop.run(_projected(dsn))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    began = time.perf_counter()
    report = uvloop.run(check(dsn, ledger))
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu, most = used.ru_utime - before, used.ru_maxrss * 1024
    if report.violated:
        raise SystemExit(f"the bench's own books are wrong: {report.violations[:3]}")
    rate = report.events / seconds
    figures = (
        f"{report.events:,} events, {report.orders:,} orders in {seconds:.1f} s ({cpu:.1f} s of CPU): {rate:,.0f}/s"
    )
    data = {
        "events": report.events,
        "orders": report.orders,
        "seconds": seconds,
        "memory": most,
        "load": os.getloadavg(),
    }
    million = 1_000_000 / rate
    return [
        Row("verify", figures, data=data),
        Row("  its memory at most, the provider's ledger and the filling of the log included", f"{most / 1e6:,.0f} MB"),
        Row("  a million events", f"{million:.0f} s", million / REACH, "<= 60 s", million <= REACH),
    ]


async def check(dsn: str, ledger: dict[UUID, Charge] | None = None) -> Report:
    """Verify all of a log, with the provider's ledger if there is one."""
    async with open_evidence(lambda: connect(dsn, name="verify", role=None, limits=False), wait=0) as evidence:
        return await Verification(evidence, SAGAS, ledger, lambda _done, _of: None).run()


async def _projected(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    while await connection.fetchval(
        "SELECT (SELECT max(position) FROM events) > coalesce((SELECT max(position) FROM checkpoints), 0)"
    ):
        await asyncio.sleep(0.1)
    await connection.execute(
        "INSERT INTO checkpoints (reader, position) SELECT 'saga-runner', max(position) FROM events"
    )
    await connection.close()


async def _fill(dsn: str, orders: int) -> dict[UUID, Charge]:
    connection = await asyncpg.connect(dsn)
    rng, versions, ledger = random.Random(7), dict[UUID, int](), dict[UUID, Charge]()
    began = datetime.now(UTC) - timedelta(days=90)
    rows = [
        stored_row(inventory_stream(sku), "inventory", versions, inventory_stream(sku), began, _stocked(sku, orders))
        for sku in map(_sku, range(SKUS))
    ]
    position = 0
    for done in range(0, orders, 2_000):
        of_sagas: list[tuple[Any, ...]] = []
        for number in range(done, min(done + 2_000, orders)):
            at = began + timedelta(seconds=number)
            order_id = OrderId(uuid7())
            rows += _order(rng, versions, order_id, number, at, ledger)
            of_sagas.append(
                (saga_of(order_id, "fulfil_order"), "fulfil_order", 1, order_id, "COMPLETED", "", 0, 1, 0, at, at)
            )
        numbered = [(position + n, *row) for n, row in enumerate(rows, 1)]
        position += len(rows)
        rows = []
        await connection.copy_records_to_table("events", records=numbered, columns=COLUMNS)
        await connection.copy_records_to_table("sagas", records=of_sagas, columns=SAGA_COLUMNS)
    await connection.execute("VACUUM ANALYZE events")
    await connection.execute("VACUUM ANALYZE sagas")
    await connection.close()
    return ledger


def _sku(number: int) -> Sku:
    return Sku(f"SKU-{number:03}")


def _stocked(sku: Sku, orders: int) -> Event:
    return StockReplenished(sku=sku, quantity=10 * orders)


def _order(
    rng: random.Random,
    versions: dict[UUID, int],
    id_: OrderId,
    number: int,
    at: datetime,
    ledger: dict[UUID, Charge],
) -> Iterator[tuple[Any, ...]]:
    """All events of one confirmed order, as the daemons write them."""
    sku, quantity, price = _sku(rng.randrange(SKUS)), rng.randint(1, 3), Decimal(rng.randint(100, 99_999)) / 100
    total, payment, saga = price * quantity, payment_of(id_), saga_of(id_, "fulfil_order")
    ledger[payment] = Charge(str(id_), "AUTHORISED", total, Decimal(0), Decimal(0))
    item = Item(product_id=sku.lower(), sku=sku, quantity=quantity, unit_price=price)

    def done(step: str) -> Event:
        return sagas.SagaStepCompleted(saga_id=saga, step=step)

    story: list[tuple[UUID, str, Event]] = [
        (id_, "order", OrderCreated(
            order_id=id_, customer_id=f"customer-{rng.randrange(CUSTOMERS)}", items=(item,), total_amount=total,
            order_number=f"ORD-{number:010}", currency="USD", shipping_address=ADDRESS,
            payment_method=CARD, created_at=at,
        )),
        (saga, "saga", sagas.SagaStarted(saga_id=saga, name="fulfil_order", definition=1, order_id=id_)),
        (saga, "saga", done("open_order")),
        (inventory_stream(sku), "inventory", InventoryReserved(
            sku=sku, reservation_id=reservation_of(id_, sku), order_id=id_, quantity=quantity,
        )),
        (saga, "saga", done("reserve_inventory")),
        (saga, "saga", sagas.SagaStepStarted(
            saga_id=saga, step="authorize_payment", direction="forward", attempt=1, key=f"{payment}:authorise",
        )),
        (payment, "payment", PaymentAuthorized(
            payment_id=payment, order_id=id_, amount=total, currency="USD", payment_method="card",
            authorization_code="auth",
        )),
        (saga, "saga", done("authorize_payment")),
        (id_, "order", OrderConfirmed(order_id=id_, confirmed_at=at)),
        (saga, "saga", done("confirm_order")),
        (saga, "saga", sagas.SagaCompleted(saga_id=saga)),
    ]  # fmt: skip
    for stream, category, event in story:
        yield stored_row(stream, category, versions, id_, at, event)
