"""The query that says how each daemon is. It only looks: no route of ours starts, stops or signals a daemon."""

from __future__ import annotations

from litestar import get
from litestar.types import ASGIApp

from core import codec
from daemons.http.openapi import answers
from daemons.query_api.parameters import AnyRequest
from daemons.query_api.response import json_response
from daemons.query_api.roll_call import DaemonList, RollCall


@get("/api/v1/daemons", responses=answers(DaemonList, 503))
async def daemons(request: AnyRequest) -> ASGIApp:
    """Every daemon: whether it answers and is ready, why not, its process and uptime, and how far its readers are."""
    roll_call: RollCall = request.app.state["roll_call"]
    return json_response(codec.json(await roll_call.take()))


ROUTES = (daemons,)
