"""Queries about orders: one by its id or number, and lists of those that match."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from litestar import Response, get
from litestar.params import FromQuery, QueryParameter

from core import codec
from core.domain.message import OrderId
from core.domain.money import AMOUNT_TEXT
from core.domain.order import Status
from core.domain.payment import PaymentStatus
from core.domain.validation import composed
from core.errors import FieldError
from core.ports.queries import OrderCount, OrderFilter, OrderPlace, OrderSearch, OrderSort, Queries
from core.projections.order_view import OrderView
from core.services.fresh_views import fresh_order, fresh_order_of_number
from daemons.http.openapi import answers
from daemons.http.problems import RequestRefused, wrong_fields
from daemons.query_api.answers import CustomerOrders, Orders, StatusOrders
from daemons.query_api.cursors import ends, place
from daemons.query_api.moments import a_moment
from daemons.query_api.parameters import (
    AnyRequest,
    CursorText,
    IdInPath,
    Limit,
    Offset,
    Text,
    TextInPath,
    a_text,
    a_uuid,
)
from daemons.query_api.response import FROM_EITHER, READ_FROM, as_it_is, json_response

STATUSES = tuple(status.value for status in Status if status is not Status.ABSENT)
PAYMENT_STATUSES = tuple(status.value for status in PaymentStatus)
StatusName = Annotated[str | None, QueryParameter(description=f"One of {', '.join(STATUSES)}, in any case.")]
PaymentStatusName = Annotated[
    str | None, QueryParameter(description=f"One of {', '.join(PAYMENT_STATUSES)}, in any case.")
]
Amount = Annotated[
    str | None,
    QueryParameter(pattern=f"^{AMOUNT_TEXT.pattern}$", description="an amount such as 99.50, in any currency"),
]
Moment = Annotated[
    str | None,
    QueryParameter(
        max_length=40,
        description="A time of ISO 8601, in UTC unless it has an offset, or a date, which is that whole day in UTC.",
        schema_extra={"anyOf": [{"format": "date-time"}, {"format": "date"}]},
    ),
]
SearchText = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=100, description="Start of an order or tracking number, or a SKU."),
]
MinVersion = Annotated[
    int, QueryParameter(ge=0, le=2**31 - 1, description="At least this version; 409 when there is none.")
]
MinPaymentVersion = Annotated[
    int, QueryParameter(ge=0, le=2**31 - 1, description="Its payment at least at this version; 409 when there is none.")
]
Wait = Annotated[float, QueryParameter(ge=0, le=10, description="Seconds to wait for the read model to get there.")]


@get("/api/v1/orders/{order_id:str}", responses=answers(OrderView, 404, 409, 503), operation_class=FROM_EITHER)
async def one_order(
    request: AnyRequest,
    order_id: IdInPath,
    min_version: MinVersion = 0,
    min_payment_version: MinPaymentVersion = 0,
    wait: Wait = 0,
) -> Response[bytes]:
    """One order, as it was just written: what the read model has not got yet is folded from its events."""
    queries: Queries = request.app.state["queries"]
    id_ = OrderId(a_uuid("order_id", order_id))
    order, read_from = await fresh_order(
        queries, id_, min_version=min_version, min_payment_version=min_payment_version, wait=wait
    )
    for what, there, wanted in (
        (f"order {id_}", order.version, min_version),
        (f"the payment of order {id_}", order.payment_version, min_payment_version),
    ):
        if there < wanted:
            raise RequestRefused(409, "version_not_reached", f"{what} is at version {there}, not {wanted} yet")
    return json_response(order.json, ETag=f'"{order.version}"', **{READ_FROM: read_from})


@get(
    "/api/v1/orders/number/{order_number:str}",
    responses=answers(OrderView, 404, 503),
)
async def order_of_number(request: AnyRequest, order_number: TextInPath) -> Response[bytes]:
    """One order by the number its customer knows."""
    state = request.app.state
    number = a_text("order_number", order_number).upper()
    order = await fresh_order_of_number(state["queries"], state["store"], number)
    return json_response(order.json)


@get("/api/v1/orders", responses=answers(Orders, 503))
async def some_orders(
    request: AnyRequest,
    status: StatusName = None,
    payment: PaymentStatusName = None,
    customer_id: Text = None,
    sku: Text = None,
    min_total: Amount = None,
    max_total: Amount = None,
    created_from: Moment = None,
    created_to: Moment = None,
    q: SearchText = None,
    sort: FromQuery[OrderSort] = "-created_at",
    cursor: CursorText = None,
    limit: Limit = 20,
) -> Response[bytes]:
    """Orders that match, newest first, with cursors to both sides."""
    queries: Queries = request.app.state["queries"]
    conditions = OrderFilter(
        status=a_status(status) if status is not None else None,
        payment=_one_of("payment", PAYMENT_STATUSES, payment) if payment is not None else None,
        customer_id=composed(customer_id) if customer_id is not None else None,
        sku=composed(sku) if sku is not None else None,
        min_total=Decimal(min_total) if min_total is not None else None,
        max_total=Decimal(max_total) if max_total is not None else None,
        created_from=a_moment("created_from", created_from),
        created_to=a_moment("created_to", created_to, end=True),
        q=composed(q) if q is not None else None,
    )
    start: OrderPlace | None = None
    backwards = False
    if cursor is not None:
        start, backwards = place(cursor, sort)
    page = await queries.orders(
        OrderSearch(filter=conditions, sort=sort, start=start, backwards=backwards, limit=limit)
    )
    whole = start is None and not page.more
    count = await _count(queries, conditions, len(page.documents) if whole else None)
    cursors = ends(sort, page.first, page.last, more=page.more, start=start is not None, backwards=backwards)
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


@get("/api/v1/customers/{customer_id:str}/orders", responses=answers(CustomerOrders, 503))
async def orders_of_customer(
    request: AnyRequest, customer_id: TextInPath, limit: Limit = 20, offset: Offset = 0
) -> Response[bytes]:
    """A customer's orders, newest first."""
    return await _by_offset(request, OrderFilter(customer_id=a_text("customer_id", customer_id)), limit, offset, {})


@get("/api/v1/orders/status/{status:str}", responses=answers(StatusOrders, 503))
async def orders_of_status(
    request: AnyRequest, status: TextInPath, limit: Limit = 20, offset: Offset = 0
) -> Response[bytes]:
    """Orders that have come this far, newest first; the status in any case."""
    known = a_status(status)
    return await _by_offset(request, OrderFilter(status=known), limit, offset, {"status": known})


ROUTES = (one_order, order_of_number, some_orders, orders_of_customer, orders_of_status)


async def _by_offset(
    request: AnyRequest, conditions: OrderFilter, limit: int, offset: int, echo: dict[str, Any]
) -> Response[bytes]:
    queries: Queries = request.app.state["queries"]
    orders = await queries.newest_orders(conditions, offset=offset, limit=limit)
    last_page = len(orders) < limit and (bool(orders) or offset == 0)
    count = await _count(queries, conditions, offset + len(orders) if last_page else None)
    return json_response(
        codec.json(
            {
                "orders": [as_it_is(order) for order in orders],
                **echo,
                "total": count.total,
                "total_estimated": count.estimated,
                "limit": limit,
                "offset": offset,
            }
        )
    )


async def _count(queries: Queries, conditions: OrderFilter, seen: int | None) -> OrderCount:
    """How many orders fit. If the page has shown that, nothing is counted: an order may have come in since."""
    return OrderCount(seen, estimated=False) if seen is not None else await queries.count_orders(conditions)


def a_status(text: str) -> str:
    return _one_of("status", STATUSES, text)


def _one_of(name: str, statuses: Sequence[str], text: str) -> str:
    if text.upper() not in statuses:
        raise wrong_fields(FieldError(name, f"must be one of {', '.join(statuses)}"))
    return text.upper()
