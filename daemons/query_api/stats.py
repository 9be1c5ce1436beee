"""Statistics of the whole desk."""

from __future__ import annotations

from litestar import Response, get

from core import codec
from core.ports.queries import DeskTotals, Queries
from daemons.query_api.operations import query
from daemons.query_api.parameters import AnyRequest, NoParameters, parameters
from daemons.query_api.response import json_response


@get("/api/v1/stats", operation_class=query(NoParameters, DeskTotals))
async def statistics(request: AnyRequest) -> Response[bytes]:
    """Sales in all and by day, unfinished sagas, the head of the log."""
    queries: Queries = request.app.state["queries"]
    parameters(request, NoParameters)
    return json_response(codec.json(await queries.desk_totals()))
