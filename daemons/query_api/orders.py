"""Orders: one, or those that match."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.params import FromPath
from msgspec import Meta

from core import codec
from core.adapters.postgres.read_models.order_views import (
    Sort,
    Wanted,
    count_orders,
    order_by_number,
    orders_after_offset,
    page_of_orders,
)
from core.domain.order import Status
from core.errors import FieldError, NotFound
from core.projections.order_view import OrderView
from daemons.http.problems import wrong_fields
from daemons.query_api.answers import CustomerOrders, Orders, StatusOrders, raw
from daemons.query_api.cursors import ends, place
from daemons.query_api.desk import Desk
from daemons.query_api.operations import query
from daemons.query_api.parameters import (
    AnyRequest,
    Cursor,
    Limit,
    NoParameters,
    Offset,
    Parameters,
    Text,
    a_text,
    a_uuid,
    parameters,
)

LONGEST_CATCH_UP = 1.0  # seconds
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
    sort: Sort = "-created_at"
    cursor: Cursor | None = None
    limit: Limit = 20


class ByOffset(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Limit = 20
    offset: Offset = 0


def answer(body: bytes, **headers: str) -> Response[bytes]:
    return Response(body, media_type="application/json", headers=headers)


@get("/api/v1/orders/{order_id:str}", operation_class=query(OneOrder, OrderView, 404, 409, path=("order_id",)))
async def one_order(request: AnyRequest, order_id: FromPath[str]) -> Response[bytes]:
    """One order, as it was just written: what the read model has not got yet is folded from its events."""
    desk: Desk = request.app.state["desk"]
    asked = parameters(request, OneOrder)
    found = await desk.order(a_uuid("order_id", order_id), min_version=asked.min_version, wait=asked.wait)
    return answer(found.json, ETag=f'"{found.version}"')


@get(
    "/api/v1/orders/number/{order_number:str}",
    operation_class=query(NoParameters, OrderView, 404, path=("order_number",)),
)
async def order_of_number(request: AnyRequest, order_number: FromPath[str]) -> Response[bytes]:
    """One order by the number its customer knows."""
    desk: Desk = request.app.state["desk"]
    parameters(request, NoParameters)
    number = a_text("order_number", order_number).upper()
    found = await desk.read(lambda c: order_by_number(c, number))
    if found is None:  # it may have been placed just now, and the log cannot be asked for a number
        await desk.caught_up(within=LONGEST_CATCH_UP)
        found = await desk.read(lambda c: order_by_number(c, number))
    if found is None:
        raise NotFound("order", number)
    return answer(found.encode())


@get("/api/v1/orders", operation_class=query(SomeOrders, Orders))
async def some_orders(request: AnyRequest) -> Response[bytes]:
    """Orders that match, newest first, with cursors to both sides."""
    desk: Desk = request.app.state["desk"]
    asked = parameters(request, SomeOrders)
    where = _where(asked)
    start: tuple[datetime | Decimal, UUID] | None = None
    backwards = False
    if asked.cursor is not None:
        start, backwards = place(asked.cursor, asked.sort)
    wanted = Wanted(where=where, sort=asked.sort, start=start, backwards=backwards, limit=asked.limit)
    page = await desk.read(lambda c: page_of_orders(c, wanted))
    total, estimated = await desk.read(lambda c: count_orders(c, where))
    cursors = ends(asked.sort, page.first, page.last, more=page.more, start=start is not None, backwards=backwards)
    return answer(
        codec.json(
            {"orders": [raw(d) for d in page.documents], **cursors, "total": total, "total_estimated": estimated}
        )
    )


@get(
    "/api/v1/customers/{customer_id:str}/orders", operation_class=query(ByOffset, CustomerOrders, path=("customer_id",))
)
async def orders_of_customer(request: AnyRequest, customer_id: FromPath[str]) -> Response[bytes]:
    """A customer's orders, newest first."""
    asked = parameters(request, ByOffset)
    return await _by_offset(request.app.state["desk"], asked, {"customer_id": a_text("customer_id", customer_id)}, {})


@get("/api/v1/orders/status/{status:str}", operation_class=query(ByOffset, StatusOrders, path=("status",)))
async def orders_of_status(request: AnyRequest, status: FromPath[str]) -> Response[bytes]:
    """Orders that have come this far, newest first; the status in any case."""
    asked = parameters(request, ByOffset)
    known = a_status(status)
    return await _by_offset(request.app.state["desk"], asked, {"status": known}, {"status": known})


async def _by_offset(desk: Desk, asked: ByOffset, where: dict[str, Any], echoed: dict[str, Any]) -> Response[bytes]:
    documents = await desk.read(lambda c: orders_after_offset(c, Wanted(where=where, limit=asked.limit), asked.offset))
    total, estimated = await desk.read(lambda c: count_orders(c, where))
    return answer(
        codec.json(
            {
                "orders": [raw(d) for d in documents],
                **echoed,
                "total": total,
                "total_estimated": estimated,
                "limit": asked.limit,
                "offset": asked.offset,
            }
        )
    )


def a_status(text: str) -> str:
    if text.upper() not in STATUSES:
        raise wrong_fields(FieldError("status", f"must be one of {', '.join(STATUSES)}"))
    return text.upper()


def _where(asked: SomeOrders) -> dict[str, Any]:
    where: dict[str, Any] = {
        "status": a_status(asked.status) if asked.status is not None else None,
        "customer_id": asked.customer_id,
        "sku": asked.sku,
        "min_total": Decimal(asked.min_total) if asked.min_total is not None else None,
        "max_total": Decimal(asked.max_total) if asked.max_total is not None else None,
        "created_from": _utc("created_from", asked.created_from),
        "created_to": _utc("created_to", asked.created_to),
        "q": asked.q,
    }
    return {name: value for name, value in where.items() if value is not None}


def _utc(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = msgspec.convert(text, datetime)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (OverflowError, msgspec.ValidationError):
        raise wrong_fields(FieldError(name, "must be a time as of ISO 8601, such as 2026-03-14T15:00:00Z")) from None
