"""A log of several orders, and what the query API answered at some moments while it was recorded."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.codec import StoredEvent
from core.domain.message import OrderId, saga_of
from core.services.sagas import advance
from tests.support.moments import Moment, builder, moment_of
from tests.support.opener import Opener
from tests.support.order_desk import Desk
from tests.support.query_api import QueryApi, database, query_api
from tests.support.saga_cases import failed, shipment

LISTS = (
    "/api/v1/orders", "/api/v1/orders?status=confirmed&status=cancelled&sort=created_at", "/api/v1/orders?q=A",
    "/api/v1/orders/counts", "/api/v1/orders/status/created", "/api/v1/customers/c-1/orders", "/api/v1/inventory",
    "/api/v1/sagas?limit=100", "/api/v1/sagas?status=COMPLETED", "/api/v1/sagas?status=COMPENSATED,FAILED,RUNNING",
    "/api/v1/sagas?state=failed&sort=-at_risk", "/api/v1/sagas?name=settle", "/api/v1/sagas/summary",
    "/api/v1/sagas?state=expiring", "/api/v1/sagas?state=expiring,failed", "/api/v1/sagas?sort=-at_risk",
    "/api/v1/customers/c-1/summary", "/api/v1/products/A/demand", "/api/v1/stats",
)  # fmt: skip


@dataclass
class Past:
    """A log of several orders, and what was answered at some moments of it."""

    api: QueryApi
    log: Sequence[StoredEvent]
    orders: Sequence[OrderId]
    paths: Sequence[str]
    moments: Sequence[Moment]


def paths_of(orders: Sequence[OrderId]) -> list[str]:
    paths = ["/api/v1/events?limit=1000", "/api/v1/inventory/A", "/api/v1/inventory/B"]
    for order in orders:
        paths += [f"/api/v1/orders/{order}{more}" for more in ("", "/events", "/timeline")]
        paths += [f"/api/v1/sagas/{saga_of(order, name)}" for name in ("fulfil_order", "settle_order", "unwind_order")]
    return paths


@contextlib.asynccontextmanager
async def recorded_past(postgres: EmbeddedPostgres, template: str, home: Path) -> AsyncIterator[Past]:
    patch = pytest.MonkeyPatch()
    patch.setattr(advance, "FIRST_PAUSE", 0.001)
    patch.setattr(advance, "LONGEST_PAUSE", 0.01)
    patch.setattr(advance, "LONGEST_WANTED", 0.0)
    async with (
        database(postgres, template, "past") as dsn,
        query_api(dsn, home, most_past_moments="20") as api,
        builder(dsn),
    ):
        opener: Opener = lambda: connect(dsn, name="test")  # noqa: E731 - the protocol is a function
        store = PostgresEventStore(opener)
        desk = Desk(opener, store, scale=0.0001)
        orders: list[OrderId] = []
        moments: list[Moment] = []

        async def note() -> None:
            moments.append(await moment_of(api, [*paths_of(orders), *LISTS]))
            moments[-1].answers["/api/v1/stats"]["sagas"] = {}  # rows of sagas are not kept

        await desk.stock(A=10, B=3)
        await note()
        orders.append(await desk.place(A=2))
        await note()
        async with desk.running():
            await desk.ended(orders[0])
            orders.append(await desk.place("test_card_fail", A=1, B=1))
            await desk.ended(orders[1])
        await note()
        async with desk.running():
            await desk.do(shipment(orders[0]))
            await desk.ended(orders[0], "settle_order")
            orders.append((await failed(desk))[0])
            orders.append(await desk.place("test_card_expires", A=1))
            await desk.ended(orders[3])
        await note()
        log = await desk.log()
        yield Past(api, log, orders, paths_of(orders), moments)
        await store.close()
    patch.undo()
