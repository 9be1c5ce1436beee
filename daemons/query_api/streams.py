"""The queries on the streams of the log: which there are, and how each grew."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter
from litestar.types import ASGIApp

from core import codec
from core.codec import Envelope
from core.errors import NotFound
from core.ports.inspection import Inspection, StreamRow, StreamRows, StreamSearch
from core.services.request_reads import ReadServers
from daemons.http.openapi import answers
from daemons.query_api.events import CATEGORIES
from daemons.query_api.parameters import AfterVersion, IdInPath, ManyEvents, PayloadShape, Several, a_uuid, several
from daemons.query_api.response import json_response

HIGHEST = UUID(int=2**128 - 1)
Many = Annotated[int, QueryParameter(ge=1, le=1_000, description="How many streams at most.")]
Prefix = Annotated[
    str,
    QueryParameter(
        pattern="^[0-9a-f]{0,32}$", description="how their ids begin, in small letters without dashes: 0195979f3e40"
    ),
]


class OneStream(msgspec.Struct, kw_only=True):
    """A stream and a page of its events. `next_after` is the `after` of the next page, a version."""

    stream: StreamRow
    events: list[Envelope]
    next_after: int


@get("/api/v1/admin/streams", responses=answers(StreamRows, 503))
async def list_streams(
    state: State,
    *,
    category: Several = None,
    prefix: Prefix = "",
    after: FromQuery[UUID | None] = None,
    limit: Many = 100,
) -> ASGIApp:
    """Streams, in the order of their ids. With `category`, a page looks at 2,000, so that it may be empty and go on."""
    inspection: Inspection = state["inspection"]
    categories = several("category", category, CATEGORIES)
    first, last = UUID(prefix.ljust(32, "0")), UUID(prefix.ljust(32, "f"))
    found = StreamRows(streams=[], next_after=None)
    if after is None or after < last:
        first = first if after is None else max(first, following(after))
        found = await inspection.streams(StreamSearch(limit=limit, first=first, last=last, categories=categories))
    return json_response(codec.json(found))


@get("/api/v1/admin/streams/{stream_id:str}", responses=answers(OneStream, 404, 503))
async def one_stream(
    state: State,
    stream_id: IdInPath,
    after: AfterVersion = 0,
    limit: ManyEvents = 100,
    shape: PayloadShape = "latest",
) -> ASGIApp:
    """One stream, with its events after a version."""
    inspection: Inspection = state["inspection"]
    servers: ReadServers = state["servers"]
    id_ = a_uuid("stream_id", stream_id)
    row = await inspection.stream(id_)
    if row is None:
        raise NotFound("stream", stream_id)
    page = await servers.request().events_of_stream(id_, after=after, limit=limit)
    events = [event.envelope(shape) for event in page]
    one = OneStream(stream=row, events=events, next_after=page[-1].version if page else after)
    return json_response(codec.json(one))


ROUTES = (list_streams, one_stream)


def following(id_: UUID) -> UUID:
    """The id after this one; the highest one itself."""
    return UUID(int=min(id_.int + 1, HIGHEST.int))
