"""Orders: one, or those that match."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.params import FromPath
from msgspec import Meta

from core import codec
from core.domain.message import OrderId
from core.domain.order import Status
from core.errors import FieldError
from core.ports.queries import OrderFilter, OrderPlace, OrderSearch, OrderSort, Queries
from core.projections.order_view import OrderView
from core.services.fresh_views import fresh_order, fresh_order_of_number
from daemons.http.problems import RequestRefused, wrong_fields
from daemons.query_api.answers import CustomerOrders, Orders, StatusOrders
from daemons.query_api.cursors import ends, place
from daemons.query_api.operations import query
from daemons.query_api.parameters import (
    AnyRequest,
    CursorText,
    Limit,
    NoParameters,
    Offset,
    Parameters,
    Text,
    a_text,
    a_uuid,
    parameters,
)
from daemons.query_api.response import as_it_is, json_response

STATUSES = tuple(status.value for status in Status if status is not Status.ABSENT)
Amount = Annotated[str, Meta(pattern=r"^[0-9]{1,10}(\.[0-9]{1,2})?$", description="an amount such as 99.50")]
Moment = Annotated[
    str,
    Meta(
        max_length=40, description="ISO 8601; without an offset it is UTC.", extra_json_schema={"format": "date-time"}
    ),
]


class OneOrder(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    min_version: Annotated[
        int, Meta(ge=0, le=2**31 - 1, description="At least this version; 409 when there is none.")
    ] = 0
    wait: Annotated[float, Meta(ge=0, le=10, description="Seconds to wait for the read model to get there.")] = 0


class SomeOrders(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    status: Annotated[str, Meta(description=f"One of {', '.join(STATUSES)}, in any case.")] | None = None
    customer_id: Text | None = None
    sku: Text | None = None
    min_total: Amount | None = None
    max_total: Amount | None = None
    created_from: Moment | None = None
    created_to: Moment | None = None
    q: (
        Annotated[
            str, Meta(min_length=1, max_length=100, description="Start of an order or tracking number, or a SKU.")
        ]
        | None
    ) = None
    sort: OrderSort = "-created_at"
    cursor: CursorText | None = None
    limit: Limit = 20


class ByOffset(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Limit = 20
    offset: Offset = 0


@get("/api/v1/orders/{order_id:str}", operation_class=query(OneOrder, OrderView, 404, 409, path=("order_id",)))
async def one_order(request: AnyRequest, order_id: FromPath[str]) -> Response[bytes]:
    """One order, as it was just written: what the read model has not got yet is folded from its events."""
    queries: Queries = request.app.state["queries"]
    given = parameters(request, OneOrder)
    id_ = OrderId(a_uuid("order_id", order_id))
    order = await fresh_order(queries, id_, min_version=given.min_version, wait=given.wait)
    if order.version < given.min_version:
        detail = f"order {id_} is at version {order.version}, not {given.min_version} yet"
        raise RequestRefused(409, "version_not_reached", detail)
    return json_response(order.json, ETag=f'"{order.version}"')


@get(
    "/api/v1/orders/number/{order_number:str}",
    operation_class=query(NoParameters, OrderView, 404, path=("order_number",)),
)
async def order_of_number(request: AnyRequest, order_number: FromPath[str]) -> Response[bytes]:
    """One order by the number its customer knows."""
    state = request.app.state
    parameters(request, NoParameters)
    number = a_text("order_number", order_number).upper()
    order = await fresh_order_of_number(state["queries"], state["store"], number)
    return json_response(order.json)


@get("/api/v1/orders", operation_class=query(SomeOrders, Orders))
async def some_orders(request: AnyRequest) -> Response[bytes]:
    """Orders that match, newest first, with cursors to both sides."""
    queries: Queries = request.app.state["queries"]
    given = parameters(request, SomeOrders)
    fits = _filter(given)
    start: OrderPlace | None = None
    backwards = False
    if given.cursor is not None:
        start, backwards = place(given.cursor, given.sort)
    page = await queries.orders(
        OrderSearch(filter=fits, sort=given.sort, start=start, backwards=backwards, limit=given.limit)
    )
    count = await queries.count_orders(fits)
    cursors = ends(given.sort, page.first, page.last, more=page.more, start=start is not None, backwards=backwards)
    return json_response(
        codec.json(
            {
                "orders": [as_it_is(order) for order in page.documents],
                **cursors,
                "total": count.total,
                "total_estimated": count.estimated,
            }
        )
    )


@get(
    "/api/v1/customers/{customer_id:str}/orders", operation_class=query(ByOffset, CustomerOrders, path=("customer_id",))
)
async def orders_of_customer(request: AnyRequest, customer_id: FromPath[str]) -> Response[bytes]:
    """A customer's orders, newest first."""
    given = parameters(request, ByOffset)
    return await _by_offset(request, given, OrderFilter(customer_id=a_text("customer_id", customer_id)), {})


@get("/api/v1/orders/status/{status:str}", operation_class=query(ByOffset, StatusOrders, path=("status",)))
async def orders_of_status(request: AnyRequest, status: FromPath[str]) -> Response[bytes]:
    """Orders that have come this far, newest first; the status in any case."""
    given = parameters(request, ByOffset)
    known = a_status(status)
    return await _by_offset(request, given, OrderFilter(status=known), {"status": known})


async def _by_offset(request: AnyRequest, given: ByOffset, fits: OrderFilter, echo: dict[str, Any]) -> Response[bytes]:
    queries: Queries = request.app.state["queries"]
    orders = await queries.newest_orders(fits, offset=given.offset, limit=given.limit)
    count = await queries.count_orders(fits)
    return json_response(
        codec.json(
            {
                "orders": [as_it_is(order) for order in orders],
                **echo,
                "total": count.total,
                "total_estimated": count.estimated,
                "limit": given.limit,
                "offset": given.offset,
            }
        )
    )


def a_status(text: str) -> str:
    if text.upper() not in STATUSES:
        raise wrong_fields(FieldError("status", f"must be one of {', '.join(STATUSES)}"))
    return text.upper()


def _filter(given: SomeOrders) -> OrderFilter:
    return OrderFilter(
        status=a_status(given.status) if given.status is not None else None,
        customer_id=given.customer_id,
        sku=given.sku,
        min_total=Decimal(given.min_total) if given.min_total is not None else None,
        max_total=Decimal(given.max_total) if given.max_total is not None else None,
        created_from=_utc("created_from", given.created_from),
        created_to=_utc("created_to", given.created_to),
        q=given.q,
    )


def _utc(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = msgspec.convert(text, datetime)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (OverflowError, msgspec.ValidationError):
        raise wrong_fields(FieldError(name, "must be a time as of ISO 8601, such as 2026-03-14T15:00:00Z")) from None
