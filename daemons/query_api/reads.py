"""Gives each handler the queries of its request, and says in headers of the answer which server showed how much."""

from __future__ import annotations

from typing import Annotated, Any

from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter, SkipValidation

from core.errors import OrderdeckError
from core.services.request_reads import PRIMARY, ReadServers, RequestReads
from daemons.query_api.parameters import LARGEST, AnyRequest

READS = "orderdeck.reads"  # the key in a request's scope that holds its queries
POSITION = "Orderdeck-Position"
SERVER = "Orderdeck-Server"
PRIMARY_AWAY = "Orderdeck-Primary-Away"

HEADERS = (
    ResponseHeader(
        name=POSITION,
        description="With replicas, or with `min_position`: how far what was read had come. As `min_position` of the "
        "next request, it makes sure that the answer is no older than this one.",
        documentation_only=True,
    ),
    ResponseHeader(
        name=SERVER,
        description="With replicas: the server that answered, `primary` or `replica-1`, as the setting numbers them.",
        documentation_only=True,
    ),
    ResponseHeader(
        name=PRIMARY_AWAY,
        description="While the primary is away: for how many seconds. The answer may lack what was recorded since.",
        documentation_only=True,
    ),
)

Reads = NamedDependency[SkipValidation[RequestReads]]
MinPosition = Annotated[
    int | None,
    QueryParameter(
        ge=0,
        le=LARGEST,
        description="What was recorded up to this position shows in the answer; 409 if it does not within a second.",
    ),
]


def reads_of_request(request: AnyRequest, min_position: MinPosition = None) -> RequestReads:
    servers: ReadServers = request.app.state["servers"]
    reads = servers.request(min_position)
    scope: Any = request.scope
    scope[READS] = reads
    return reads


QUERIES = {"queries": Provide(reads_of_request, sync_to_thread=False)}
"""The `dependencies=` of the service: a handler that takes `queries` gets those of its request."""


async def add_headers(message: Any, scope: Any) -> None:
    """Say in the head of an answer which server gave it. It is a `before_send=` hook of the service."""
    reads: RequestReads | None = scope.get(READS)
    if reads is None or message["type"] != "http.response.start" or message["status"] != 200 or reads.read_at is None:
        return
    if reads.has_replicas:
        message["headers"].append((SERVER.lower().encode(), reads.read_at.encode()))
        if reads.read_at != PRIMARY and (away := reads.primary_away):
            message["headers"].append((PRIMARY_AWAY.lower().encode(), b"%.1f" % away))
    if reads.has_replicas or reads.min_position is not None:
        try:
            position = await reads.position()
        except OrderdeckError:
            return  # the answer itself was read, so it is given, without the header
        message["headers"].append((POSITION.lower().encode(), str(position).encode()))
