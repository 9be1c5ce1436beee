"""Stock, customers, products, totals, and how far the readers have come."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Response, get
from litestar.params import FromPath

from core import codec
from core.adapters.postgres.queries.progress import progress
from core.adapters.postgres.queries.sagas import stats
from core.adapters.postgres.read_models.customer_summaries import spending
from core.adapters.postgres.read_models.inventory_levels import stock_level, stock_levels
from core.adapters.postgres.read_models.product_demand import demand
from core.domain.message import Sku, inventory_stream
from core.errors import FieldError, NotFound
from core.ports.reading import ReaderProgress
from core.projections import GROUPS
from core.projections.inventory_level import INVENTORY_LEVEL
from core.projections.projection import Group
from daemons.http.problems import wrong_fields
from daemons.query_api.answers import Customer, Demand, Level, Levels, Projections, Stats
from daemons.query_api.desk import Desk
from daemons.query_api.operations import query
from daemons.query_api.orders import answer
from daemons.query_api.parameters import AnyRequest, Cursor, Limit, NoParameters, Parameters, a_text, parameters


class SomeStock(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 20


@get("/api/v1/inventory", operation_class=query(SomeStock, Levels))
async def inventory(request: AnyRequest) -> Response[bytes]:
    """Stock by SKU."""
    desk: Desk = request.app.state["desk"]
    asked = parameters(request, SomeStock)
    after = _sku_of(asked.cursor) if asked.cursor is not None else ""
    rows = await desk.read(lambda c: stock_levels(c, after=after, limit=asked.limit + 1))
    items, more = rows[: asked.limit], len(rows) > asked.limit
    next_cursor = base64.urlsafe_b64encode(items[-1]["sku"].encode()).decode() if more else None
    return answer(codec.json({"items": items, "next_cursor": next_cursor}))


@get("/api/v1/inventory/{sku:str}", operation_class=query(NoParameters, Level, 404, path=("sku",)))
async def inventory_of_sku(request: AnyRequest, sku: FromPath[str]) -> Response[bytes]:
    """Stock of one SKU."""
    desk: Desk = request.app.state["desk"]
    parameters(request, NoParameters)
    name = Sku(a_text("sku", sku))
    found: Any = await desk.read(lambda c: stock_level(c, name))
    if found is None:  # not projected yet, or not there
        found = await desk.fold(INVENTORY_LEVEL, inventory_stream(name))
    if found is None:
        raise NotFound("SKU", name)
    return answer(codec.json(found))


@get(
    "/api/v1/customers/{customer_id:str}/summary",
    operation_class=query(NoParameters, Customer, 404, path=("customer_id",)),
)
async def customer_summary(request: AnyRequest, customer_id: FromPath[str]) -> Response[bytes]:
    """How many orders a customer has placed, and what was spent, per currency."""
    desk: Desk = request.app.state["desk"]
    parameters(request, NoParameters)
    name = a_text("customer_id", customer_id)
    totals = await desk.read(lambda c: spending(c, name))
    if not totals:
        raise NotFound("customer", name)
    return answer(
        codec.json(
            {
                "customer_id": name,
                "orders": sum(row["orders"] for row in totals),
                "last_order_at": max(row["last_order_at"] for row in totals),
                "totals": totals,
            }
        )
    )


@get("/api/v1/products/{sku:str}/demand", operation_class=query(NoParameters, Demand, 404, path=("sku",)))
async def product_demand(request: AnyRequest, sku: FromPath[str]) -> Response[bytes]:
    """How much of a SKU was ordered, and what it brought in, per currency."""
    desk: Desk = request.app.state["desk"]
    parameters(request, NoParameters)
    name = a_text("sku", sku)
    totals = await desk.read(lambda c: demand(c, name))
    if not totals:
        raise NotFound("demand for SKU", name)
    return answer(codec.json({"sku": name, "totals": totals}))


@get("/api/v1/stats", operation_class=query(NoParameters, Stats))
async def statistics(request: AnyRequest) -> Response[bytes]:
    """Sales in all and by day, unfinished sagas, the head of the log."""
    desk: Desk = request.app.state["desk"]
    parameters(request, NoParameters)
    return answer(codec.json(await desk.read(stats)))


@get("/api/v1/projections", operation_class=query(NoParameters, Projections))
async def projections(request: AnyRequest) -> Response[bytes]:
    """Every read model, and every reader of the log: its position, and how far that is behind."""
    desk: Desk = request.app.state["desk"]
    parameters(request, NoParameters)
    readers = {one.reader: one for one in await desk.read(progress)}
    head = max([one.head for one in readers.values()], default=0) or await desk.app.store.head()
    return answer(
        codec.json(
            {
                "projections": listing(GROUPS, readers, head),
                "readers": [
                    {"name": one.reader, "position": one.position, "lag": _lag(one)} for one in readers.values()
                ],
                "head": head,
            }
        )
    )


def listing(
    groups: Sequence[Group[Any]], readers: Mapping[str, ReaderProgress], head: int
) -> Sequence[Mapping[str, Any]]:
    """The read models, and how far the reader of their group has come."""
    return [
        {"name": model.name, "reader": group.reader, "revision": model.revision}
        | _reached(readers.get(group.reader), head)
        for group in groups
        for model in group.models
    ]


def _reached(reader: ReaderProgress | None, head: int) -> dict[str, Any]:
    if reader is None:
        return {"position": 0, "lag": {"events": head, "seconds": 0.0}}
    return {"position": reader.position, "lag": _lag(reader)}


def _lag(one: ReaderProgress) -> dict[str, Any]:
    return {"events": one.head - one.position, "seconds": round(one.behind, 3)}


def _sku_of(cursor: str) -> str:
    try:
        return a_text("cursor", base64.urlsafe_b64decode(cursor.encode("ascii")).decode())
    except ValueError:
        raise wrong_fields(FieldError("cursor", "is not one that was given for this list")) from None
