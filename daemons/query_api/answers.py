"""The types of the query API's answers, for the OpenAPI document; handlers make objects of only a few of them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct, field

from core.codec import Envelope
from core.ports.saga_lists import SagaListing
from core.projections.order_view import OrderView
from core.sagas.step_lanes import Lane


class Coming(Struct, kw_only=True):
    """With `as_of`: the lists as of that position are being made, so ask again after `Retry-After` seconds.

    `events_done` of `position` events are in them. `seconds_left` is null while that is not known.
    `waits_for` is the number of other moments that are in use: one of them has to be unused for 20 seconds first.
    """

    status: Literal["building"]
    detail: str
    position: int
    events_done: int
    events_per_second: int
    seconds_left: float | None
    waits_for: int


class OrderInList(OrderView, frozen=True, kw_only=True, omit_defaults=True):
    """An order of a list. The last three are there if a saga of it is failed, overdue or retrying.

    `open_amount` is the money that this saga has open, in the order's currency; null while it is not known.
    """

    saga_id: UUID | None = None
    saga_state: Literal["failed", "overdue", "retrying"] | None = None
    open_amount: Decimal | None = None


class Orders(Struct, kw_only=True):
    """A page of orders; `total_estimated`: `total` is an estimate, since there are too many to count quickly."""

    orders: list[OrderInList]
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
    """`next_after` is the `after` of the request for the events that follow."""

    events: list[Envelope]
    next_after: int


class LogEvents(Struct, kw_only=True):
    """`next_after` asks for the events that follow this page, `next_before` for those before it; `head` is the last."""

    events: list[Envelope]
    next_after: int
    next_before: int
    head: int


class ListedSchema(Struct, kw_only=True):
    """`recorded`: events of the type are recorded in this version today; others are only in logs and topics."""

    event_type: str
    schema_version: int
    aggregate_type: str
    recorded: bool
    path: str


class Schemas(Struct, kw_only=True):
    schemas: list[ListedSchema]


class PayloadSchema(Struct, kw_only=True):
    """A JSON Schema of draft 2020-12 of the payload of an event, whose `title` names the event and its version."""

    dialect: str = field(name="$schema")
    title: str
    type: str
    properties: dict[str, Any]
    required: list[str] = []
    definitions: dict[str, Any] = field(default_factory=dict[str, Any], name="$defs")


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


class CustomerTotal(Struct, kw_only=True):
    currency: str
    orders: int
    spent: Decimal
    last_order_at: datetime


class Customer(Struct, kw_only=True):
    customer_id: str
    orders: int
    last_order_at: datetime
    totals: list[CustomerTotal]


class DemandTotal(Struct, kw_only=True):
    """`units_live` are those of orders that were not cancelled."""

    currency: str
    units_ordered: int
    units_live: int
    revenue: Decimal


class Demand(Struct, kw_only=True):
    sku: str
    totals: list[DemandTotal]


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


class ListedSaga(SagaListing, frozen=True, kw_only=True):
    """`next_attempt_at`: when it is taken up again, while nobody works on it. `deadline`: of all its steps together.

    `about`: the id of the refund that it is about. `steps`: how far each step has come, by its name, in the order of
    the table that the saga started with.
    """

    about: str | None
    steps: dict[str, str]
    open: Open


class Sagas(Struct, kw_only=True):
    sagas: list[ListedSaga]
    next_cursor: str | None
    prev_cursor: str | None


class SagaDetail(ListedSaga, frozen=True, kw_only=True):
    """`lanes`: each step beside what undoes it, in the order of the table that the saga started with."""

    lanes: list[Lane]
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
