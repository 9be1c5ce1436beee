"""The query on checkpoints: how far each reader of the log is, and which processes hold the shares of its work."""

from __future__ import annotations

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.types import ASGIApp

from core import codec
from core.ports.inspection import Checkpoint, Inspection
from daemons.http.openapi import answers
from daemons.query_api.response import json_response


class CheckpointList(msgspec.Struct, kw_only=True):
    checkpoints: list[Checkpoint]


@get("/api/v1/admin/checkpoints", responses=answers(CheckpointList, 503))
async def list_checkpoints(state: State) -> ASGIApp:
    """Every reader of the log, also those that fill read models which are made anew."""
    inspection: Inspection = state["inspection"]
    return json_response(codec.json(CheckpointList(checkpoints=list(await inspection.checkpoints()))))


ROUTES = (list_checkpoints,)
