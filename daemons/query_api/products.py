"""The query about a product: how much of it was ordered."""

from __future__ import annotations

from litestar import get
from litestar.types import ASGIApp

from core import codec
from core.errors import NotFound
from core.projections.product_demand import PRODUCT_DEMAND
from daemons.http.openapi import answers
from daemons.query_api.answers import Coming, Demand
from daemons.query_api.parameters import (
    TextInPath,
    a_text,
)
from daemons.query_api.reads import Reads
from daemons.query_api.response import json_response


@get("/api/v1/products/{sku:str}/demand", responses=answers({200: Demand, 202: Coming}, 404, 409, 503))
async def product_demand(queries: Reads, sku: TextInPath) -> ASGIApp:
    """How much of a SKU was ordered, and what it brought in, per currency."""
    name = a_text("sku", sku)
    totals = await queries.totals(PRODUCT_DEMAND, name)
    if not totals:
        raise NotFound("demand for SKU", name)
    return json_response(codec.json({"sku": name, "totals": totals}))


ROUTES = (product_demand,)
