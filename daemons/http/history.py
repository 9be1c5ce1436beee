"""The route that answers what a service measured in each of its last seconds; every API has it."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.params import QueryParameter

from core import codec
from daemons.http.openapi import answers
from daemons.process.history import SECONDS, History, MetricsHistory

Seconds = Annotated[int, QueryParameter(ge=1, le=SECONDS, description="How many seconds back at most.")]


@get("/api/v1/metrics/history", responses=answers(MetricsHistory))
async def metrics_history(request: Request[Any, Any, State], seconds: Seconds = SECONDS) -> Response[bytes]:
    """What this service measured in each of its last seconds, since its start at most; it is kept in memory only."""
    history: History = request.app.state["history"]
    return Response(codec.json(history.last(seconds)), media_type="application/json")


ROUTES = (metrics_history,)
