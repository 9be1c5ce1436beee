"""What the query API answers: types for the document, and the few that are encoded as they are."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from msgspec import Raw, Struct

from core.codec import Envelope
from core.projections.order_view import OrderView

State = Literal["running", "waiting", "retrying", "overdue", "failed"]
SagaStatus = Literal["RUNNING", "COMPLETED", "COMPENSATING", "COMPENSATED", "FAILED", "RESOLVED"]


class Orders(Struct, kw_only=True):
    """A page; `total_estimated`: there are more than can be counted quickly."""

    orders: list[OrderView]
    next_cursor: str | None
    prev_cursor: str | None
    total: int
    total_estimated: bool


class CustomerOrders(Struct, kw_only=True):
    orders: list[OrderView]
    total: int
    total_estimated: bool
    limit: int
    offset: int


class StatusOrders(Struct, kw_only=True):
    orders: list[OrderView]
    status: str
    total: int
    total_estimated: bool
    limit: int
    offset: int


class Events(Struct, kw_only=True):
    """`next_after` is what to ask for next."""

    events: list[Envelope]
    next_after: int


class LogEvents(Struct, kw_only=True):
    events: list[Envelope]
    next_after: int
    head: int


class Level(Struct, kw_only=True):
    sku: str
    product_id: str | None
    name: str | None
    on_hand: int
    reserved: int
    available: int
    updated_at: datetime
    version: int


class Levels(Struct, kw_only=True):
    items: list[Level]
    next_cursor: str | None


class Spent(Struct, kw_only=True):
    currency: str
    orders: int
    spent: Decimal
    last_order_at: datetime


class Customer(Struct, kw_only=True):
    customer_id: str
    orders: int
    last_order_at: datetime
    totals: list[Spent]


class Demanded(Struct, kw_only=True):
    """`units_live` are those of orders that were not cancelled."""

    currency: str
    units_ordered: int
    units_live: int
    revenue: Decimal


class Demand(Struct, kw_only=True):
    sku: str
    totals: list[Demanded]


class Sales(Struct, kw_only=True):
    currency: str
    orders: int
    confirmed: int
    cancelled: int
    revenue: Decimal


class Day(Sales, kw_only=True):
    day: date


class Stats(Struct, kw_only=True):
    """`days` are the last fourteen; `sagas` those that have not ended."""

    head: int
    sales: list[Sales]
    days: list[Day]
    sagas: dict[str, int]


class OpenMoney(Struct, kw_only=True):
    amount: Decimal
    currency: str


class OpenStock(Struct, kw_only=True):
    sku: str
    quantity: int


class Open(Struct, kw_only=True):
    """What a saga may still hold; `items` say it in words."""

    money: OpenMoney | None
    stock: list[OpenStock]
    items: list[str]


class ListedSaga(Struct, kw_only=True):
    """`next_attempt_at`: when it is taken up again, while nobody works on it. `deadline`: of all its steps together."""

    saga_id: UUID
    name: str
    definition: int
    order_id: UUID
    status: SagaStatus
    state: State | None
    step: str
    attempts: int
    last_error: str | None
    claimed: bool
    due_at: datetime | None
    started_at: datetime
    updated_at: datetime
    deadline: datetime | None
    next_attempt_at: datetime | None
    open: Open


class Sagas(Struct, kw_only=True):
    sagas: list[ListedSaga]
    next_cursor: str | None
    prev_cursor: str | None


class SagaDetail(ListedSaga, kw_only=True):
    """`steps`: by name, how far each has come, in the order they were reached."""

    steps: dict[str, str]
    events: list[Envelope]


class Lag(Struct, kw_only=True):
    events: int
    seconds: float


class ProjectionRow(Struct, kw_only=True):
    name: str
    reader: str
    position: int
    revision: int
    lag: Lag


class ReaderRow(Struct, kw_only=True):
    name: str
    position: int
    lag: Lag


class Projections(Struct, kw_only=True):
    projections: list[ProjectionRow]
    readers: list[ReaderRow]
    head: int


def raw(document: str) -> Raw:
    """JSON that is ready already."""
    return Raw(document.encode())


Row = dict[str, Any]
