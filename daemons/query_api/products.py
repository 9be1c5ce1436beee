"""Products: how much of each was ordered."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath

from core import codec
from core.errors import NotFound
from core.ports.queries import Queries
from core.projections.product_demand import PRODUCT_DEMAND
from daemons.query_api.answers import Demand
from daemons.query_api.operations import query
from daemons.query_api.parameters import AnyRequest, NoParameters, a_text, parameters
from daemons.query_api.response import json_response


@get("/api/v1/products/{sku:str}/demand", operation_class=query(NoParameters, Demand, 404, path=("sku",)))
async def product_demand(request: AnyRequest, sku: FromPath[str]) -> Response[bytes]:
    """How much of a SKU was ordered, and what it brought in, per currency."""
    queries: Queries = request.app.state["queries"]
    parameters(request, NoParameters)
    name = a_text("sku", sku)
    totals = await queries.totals(PRODUCT_DEMAND, name)
    if not totals:
        raise NotFound("demand for SKU", name)
    return json_response(codec.json({"sku": name, "totals": totals}))
