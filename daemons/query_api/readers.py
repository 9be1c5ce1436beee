"""The query that says how far each reader of the log has come, and each read model that the projector fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import get
from litestar.types import ASGIApp

from core import codec
from core.ports.log import EventStore
from core.ports.reading import ReaderProgress
from core.projections import GROUPS
from core.projections.projection import Group
from core.services.request_reads import ReadServers
from daemons.http.openapi import answers
from daemons.query_api.answers import Projections
from daemons.query_api.parameters import (
    AnyRequest,
)
from daemons.query_api.response import json_response


@get("/api/v1/projections", responses=answers(Projections, 503))
async def projections(request: AnyRequest) -> ASGIApp:
    """Every read model, and every reader of the log: its position, and how far that is behind."""
    servers: ReadServers = request.app.state["servers"]
    store: EventStore = request.app.state["store"]
    readers = {reader.reader: reader for reader in await servers.primary.progress()}
    head = max([reader.head for reader in readers.values()], default=0) or await store.head()
    return json_response(
        codec.json(
            {
                "projections": listing(GROUPS, readers, head),
                "readers": [{"name": reader.reader, **_place(reader)} for reader in readers.values()],
                "head": head,
            }
        )
    )


ROUTES = (projections,)


def listing(
    groups: Sequence[Group[Any]], readers: Mapping[str, ReaderProgress], head: int
) -> Sequence[Mapping[str, Any]]:
    """The read models of these groups, each with its revision and the position of the reader that fills its group."""
    never = ReaderProgress("", revision="", position=0, head=head, behind=0.0)
    return [
        {"name": model.name, "reader": group.reader, "revision": model.revision}
        | _place(readers.get(group.reader, never))
        for group in groups
        for model in group.models
    ]


def _place(reader: ReaderProgress) -> dict[str, Any]:
    lag = {"events": reader.head - reader.position, "seconds": round(reader.behind, 3)}
    return {"position": reader.position, "lag": lag}
