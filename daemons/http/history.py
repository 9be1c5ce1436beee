"""The route that answers what a service measured in each of its last seconds; every API has it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.params import QueryParameter

from core import codec
from daemons.http.openapi import answers
from daemons.http.other_processes import OtherProcesses
from daemons.process.history import SECONDS, History, MetricsHistory, together

Seconds = Annotated[int, QueryParameter(ge=1, le=SECONDS, description="How many seconds back at most.")]


Own = Annotated[bool, QueryParameter(description="Only what the process that answers has measured itself.")]


@get("/api/v1/metrics/history", responses=answers(MetricsHistory))
async def metrics_history(
    request: Request[Any, Any, State], seconds: Seconds = SECONDS, *, own: Own = False
) -> Response[bytes]:
    """What this service measured in each of its last seconds, since its start at most; it is kept in memory only.

    With several processes of the command API it is what all of them measured: each knows only its own commands.
    """
    history: History = request.app.state["history"]
    others: OtherProcesses | None = request.app.state.get("others")
    found = history.last(seconds)
    if others is not None and not own:
        bodies = await others.get(f"/api/v1/metrics/history?own=true&seconds={seconds}")
        found = together([found, *[read for body in bodies if (read := _read(body)) is not None]])
    return Response(codec.json(found), media_type="application/json")


def _read(body: bytes) -> MetricsHistory | None:
    try:
        return msgspec.json.decode(body, type=MetricsHistory)
    except msgspec.DecodeError:  # what answers there is no process of ours
        return None


ROUTES = (metrics_history,)
