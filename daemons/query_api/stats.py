"""The query that answers totals over all orders, sagas and events."""

from __future__ import annotations

from litestar import get
from litestar.types import ASGIApp

from core import codec
from core.ports.queries import DeskTotals
from daemons.http.openapi import answers
from daemons.query_api.answers import Coming
from daemons.query_api.reads import Reads
from daemons.query_api.response import json_response


@get("/api/v1/stats", responses=answers({200: DeskTotals, 202: Coming}, 409, 503))
async def statistics(queries: Reads) -> ASGIApp:
    """Sales in all and by day, unfinished sagas, the head of the log."""
    return json_response(codec.json(await queries.desk_totals()))


ROUTES = (statistics,)
