"""Queries about orders: one by its id or number, and lists of those that match."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter
from litestar.types import ASGIApp
from msgspec import Raw
from msgspec.structs import replace

from core import codec
from core.domain.message import OrderId
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import OrderCounts, OrderSearch, OrderSort
from core.ports.log import EventStore
from core.ports.queries import Queries
from core.projections.order_view import OrderView
from core.services.fresh_views import fresh_order, fresh_order_of_number
from core.services.past_reads import PastReads
from daemons.http.openapi import answers
from daemons.http.problems import RequestRefused
from daemons.query_api.answers import Coming, CustomerOrders, Orders, StatusOrders
from daemons.query_api.asked_orders import asked_orders, order_search
from daemons.query_api.cursors import ends
from daemons.query_api.opened_answers import under_every_name
from daemons.query_api.order_filters import a_status, order_filter
from daemons.query_api.parameters import (
    AnyRequest,
    CursorText,
    IdInPath,
    Limit,
    Offset,
    TextInPath,
    a_text,
    a_uuid,
)
from daemons.query_api.parked_rows import ParkedRows
from daemons.query_api.parked_rows import header as waits_behind
from daemons.query_api.reads import Reads, present_reads
from daemons.query_api.response import FROM_CACHE_TOO, READ_FROM, json_response, of_cache

FILTER = Provide(order_filter, sync_to_thread=False)

MinVersion = Annotated[
    int, QueryParameter(ge=0, le=2**31 - 1, description="At least this version; 409 when there is none.")
]
MinPaymentVersion = Annotated[
    int, QueryParameter(ge=0, le=2**31 - 1, description="Its payment at least at this version; 409 when there is none.")
]
Wait = Annotated[float, QueryParameter(ge=0, le=10, description="Seconds to wait for the read model to get there.")]


@get("/api/v1/orders/{order_id:str}", responses=answers(OrderView, 404, 409, 503), operation_class=FROM_CACHE_TOO)
async def one_order(
    request: AnyRequest,
    queries: Reads,
    order_id: IdInPath,
    min_version: MinVersion = 0,
    min_payment_version: MinPaymentVersion = 0,
    wait: Wait = 0,
) -> ASGIApp:
    """One order, as it was just written: what the read model has not got yet is folded from its events.

    `Orderdeck-Waits-Behind` has the position of an event that could not be applied, if the order waits behind one.
    """
    rows: ParkedRows = request.app.state["parked_rows"]
    queries.wants_versions(min_version, min_payment_version)
    id_ = OrderId(a_uuid("order_id", order_id))
    order, read_from = await fresh_order(
        queries, id_, min_version=min_version, min_payment_version=min_payment_version, wait=wait
    )
    if isinstance(queries, PastReads):
        read_from = "log"
    for what, there, wanted in (
        (f"order {id_}", order.version, min_version),
        (f"the payment of order {id_}", order.payment_version, min_payment_version),
    ):
        if there < wanted:
            letter = await rows.now(id_)
            why = f": it waits behind {letter.event_type} at position {letter.position}" if letter else ""
            raise RequestRefused(409, "version_not_reached", f"{what} is at version {there}, not {wanted} yet{why}")
    headers = {READ_FROM: read_from} | waits_behind(rows.of(id_))
    return json_response(order.json, ETag=f'"{order.version}"', **headers, **of_cache(order))


@get(
    "/api/v1/orders/number/{order_number:str}",
    responses=answers(OrderView, 404, 409, 503),
)
async def order_of_number(request: AnyRequest, queries: Reads, order_number: TextInPath) -> ASGIApp:
    """One order by the number its customer knows."""
    store: EventStore = request.app.state["store"]
    number = a_text("order_number", order_number).upper()
    order = await fresh_order_of_number(queries, store, number)
    return json_response(order.json)


async def order_at_once(request: AnyRequest, values: Mapping[str, str]) -> ASGIApp | None:
    """One order, if nothing but its id is said of it."""
    if request.scope["query_string"]:
        return None
    return await one_order.fn(request=request, queries=present_reads(request, None), order_id=values["order_id"])


async def listed_at_once(request: AnyRequest, _: Mapping[str, str]) -> ASGIApp | None:
    """A list of orders, unless the framework has to read the request."""
    asked = asked_orders(request)
    if asked is None:
        return None
    return await _listed(request, present_reads(request, asked.min_position), asked.search)


@get(
    "/api/v1/orders",
    responses=answers({200: Orders, 202: Coming}, 409, 503),
    dependencies={"conditions": FILTER},
)
async def some_orders(
    request: AnyRequest,
    conditions: NamedDependency[OrderQuery],
    queries: Reads,
    sort: FromQuery[OrderSort] = "-created_at",
    cursor: CursorText = None,
    limit: Limit = 20,
) -> ASGIApp:
    """Orders that match, newest first, with cursors to both sides."""
    return await _listed(request, queries, order_search(conditions, sort, cursor, limit))


async def _listed(request: AnyRequest, queries: Queries, search: OrderSearch) -> ASGIApp:
    fits = await under_every_name(request, search.filter)
    page, count = await queries.counted_orders(search if fits is search.filter else replace(search, filter=fits))
    cursors = ends(
        search.sort, page.first, page.last, more=page.more, start=search.start is not None, backwards=search.backwards
    )
    return json_response(
        codec.json(
            {
                "orders": Raw(page.json),
                **cursors,
                "total": count.total,
                "total_estimated": count.estimated,
            }
        )
    )


@get(
    "/api/v1/orders/counts",
    responses=answers({200: OrderCounts, 202: Coming}, 409, 503),
    dependencies={"conditions": FILTER},
)
async def order_counts(request: AnyRequest, conditions: NamedDependency[OrderQuery], queries: Reads) -> ASGIApp:
    """How many orders match, altogether, in each status, and with each status of their payment."""
    counts = await queries.count_orders_by_status(await under_every_name(request, conditions))
    return json_response(codec.json(counts))


@get("/api/v1/customers/{customer_id:str}/orders", responses=answers({200: CustomerOrders, 202: Coming}, 409, 503))
async def orders_of_customer(
    request: AnyRequest, queries: Reads, customer_id: TextInPath, limit: Limit = 20, offset: Offset = 0
) -> ASGIApp:
    """A customer's orders, newest first."""
    wanted = await under_every_name(request, OrderQuery(customer_id=(a_text("customer_id", customer_id),)))
    return await _by_offset(queries, wanted, limit, offset, {})


@get("/api/v1/orders/status/{status:str}", responses=answers({200: StatusOrders, 202: Coming}, 409, 503))
async def orders_of_status(queries: Reads, status: TextInPath, limit: Limit = 20, offset: Offset = 0) -> ASGIApp:
    """Orders that have come this far, newest first; the status in any case."""
    known = a_status(status)
    return await _by_offset(queries, OrderQuery(status=(known,)), limit, offset, {"status": known})


ROUTES = (one_order, order_of_number, some_orders, order_counts, orders_of_customer, orders_of_status)


async def _by_offset(
    queries: Queries, conditions: OrderQuery, limit: int, offset: int, echo: dict[str, Any]
) -> ASGIApp:
    page, count = await queries.counted_newest_orders(conditions, offset=offset, limit=limit)
    return json_response(
        codec.json(
            {
                "orders": Raw(page.json),
                **echo,
                "total": count.total,
                "total_estimated": count.estimated,
                "limit": limit,
                "offset": offset,
            }
        )
    )
