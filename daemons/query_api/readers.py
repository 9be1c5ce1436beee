"""Readers of the log, and the read models that the projector keeps: how far each has come."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from core import codec
from core.ports.log import EventStore
from core.ports.queries import Queries
from core.ports.reading import ReaderProgress
from core.projections import ALL
from core.services.project import READER
from daemons.http.openapi import answers
from daemons.query_api.answers import Projections
from daemons.query_api.parameters import (
    AnyRequest,
)
from daemons.query_api.response import json_response


@get("/api/v1/projections", responses=answers(Projections, 503))
async def projections(request: AnyRequest) -> Response[bytes]:
    """Every read model, and every reader of the log: its position, and how far that is behind."""
    queries: Queries = request.app.state["queries"]
    store: EventStore = request.app.state["store"]
    readers = {reader.reader: reader for reader in await queries.progress()}
    head = max([reader.head for reader in readers.values()], default=0) or await store.head()
    never = ReaderProgress(READER, revision="", position=0, head=head, behind=0.0)
    projector = readers.get(READER, never)
    return json_response(
        codec.json(
            {
                "projections": [
                    {"name": model.name, "reader": READER, "revision": model.revision, **_place(projector)}
                    for model in ALL
                ],
                "readers": [{"name": reader.reader, **_place(reader)} for reader in readers.values()],
                "head": head,
            }
        )
    )


def _place(reader: ReaderProgress) -> dict[str, Any]:
    lag = {"events": reader.head - reader.position, "seconds": round(reader.behind, 3)}
    return {"position": reader.position, "lag": lag}
