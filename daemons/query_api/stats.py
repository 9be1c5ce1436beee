"""The query that answers totals over all orders, sagas and events."""

from __future__ import annotations

from litestar import Response, get

from core import codec
from core.ports.queries import DeskTotals, Queries
from daemons.http.openapi import answers
from daemons.query_api.parameters import (
    AnyRequest,
)
from daemons.query_api.response import json_response


@get("/api/v1/stats", responses=answers(DeskTotals, 503))
async def statistics(request: AnyRequest) -> Response[bytes]:
    """Sales in all and by day, unfinished sagas, the head of the log."""
    queries: Queries = request.app.state["queries"]
    return json_response(codec.json(await queries.desk_totals()))


ROUTES = (statistics,)
