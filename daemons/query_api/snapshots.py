"""The query on snapshots, the kept states of long streams."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter
from litestar.types import ASGIApp

from core import codec
from core.ports.inspection import Inspection, SnapshotRows, SnapshotSearch
from daemons.http.openapi import answers
from daemons.query_api.response import json_response
from daemons.query_api.streams import HIGHEST, following

Many = Annotated[int, QueryParameter(ge=1, le=1_000, description="How many snapshots at most.")]


@get("/api/v1/admin/snapshots", responses=answers(SnapshotRows, 503))
async def list_snapshots(
    state: State,
    *,
    stream_id: FromQuery[UUID | None] = None,
    after: FromQuery[UUID | None] = None,
    limit: Many = 100,
) -> ASGIApp:
    """Snapshots in the order of their streams' ids, or that of one stream. The command API has them forgotten."""
    inspection: Inspection = state["inspection"]
    first = UUID(int=0) if after is None else following(after)
    if stream_id is not None:
        first = max(first, stream_id)
    last = stream_id or HIGHEST
    found = SnapshotRows(snapshots=[], next_after=None)
    if after is None or after < last:
        found = await inspection.snapshots(SnapshotSearch(limit=limit, first=first, last=last))
    return json_response(codec.json(found))


ROUTES = (list_snapshots,)
