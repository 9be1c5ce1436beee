"""Gives each handler the queries of its request, and says in headers of the answer which server showed how much."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Annotated, Any

from litestar import Response
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter, SkipValidation

from core import codec
from core.errors import FieldError, NotFound
from core.ports.clock import Clock
from core.services.past_models import PastComing, PastModels
from core.services.past_reads import AS_OF, PastReads, past_point, utc
from core.services.request_reads import PRIMARY, ReadServers, RequestReads
from daemons.http.problems import RequestRefused, on_error, wrong_fields
from daemons.query_api.answers import Coming
from daemons.query_api.moments import a_place
from daemons.query_api.opened_answers import open_answer
from daemons.query_api.parameters import LARGEST, AnyRequest

READS = "orderdeck.reads"  # the key in a request's scope that holds its queries
# The framework gives `after_request=` no request.
_READS: ContextVar[RequestReads | None] = ContextVar("queries of this request", default=None)
POSITION = "Orderdeck-Position"
SERVER = "Orderdeck-Server"
PRIMARY_AWAY = "Orderdeck-Primary-Away"
AS_OF_POSITION = "Orderdeck-As-Of-Position"
AS_OF_TIME = "Orderdeck-As-Of-Time"

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
    ResponseHeader(
        name=AS_OF_POSITION,
        description="With `as_of`: everything up to this position is in the answer, and nothing after it.",
        documentation_only=True,
    ),
    ResponseHeader(
        name=AS_OF_TIME,
        description="With `as_of`: the moment that was asked for, or when the event at that position was recorded.",
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


AsOf = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=40,
        description="Answer as it was after the event at this position, or at this time (ISO 8601, in UTC unless it "
        "has an offset). 400 for a position after the head of the log, and for a time in the future.",
        schema_extra={"anyOf": [{"pattern": "^[0-9]+$"}, {"format": "date-time"}, {"format": "date"}]},
    ),
]


async def reads_of_request(request: AnyRequest, min_position: MinPosition = None, as_of: AsOf = None) -> RequestReads:
    if as_of is not None and min_position is not None:
        raise wrong_fields(FieldError("min_position", "cannot be given together with as_of, which says what is shown"))
    if as_of is None:
        return present_reads(request, min_position)
    scope: Any = request.scope
    scope[READS] = reads = await past_reads(request, AS_OF, as_of)
    return reads


def present_reads(request: AnyRequest, min_position: int | None) -> RequestReads:
    """The queries of a request that asks for nothing of the past."""
    servers: ReadServers = request.app.state["servers"]
    scope: Any = request.scope
    scope[READS] = reads = servers.request(min_position)
    _READS.set(reads)
    return reads


async def past_reads(request: AnyRequest, name: str, text: str) -> PastReads:
    """The queries as of the place in the log that the text of this parameter names. Raises RequestRefused."""
    state = request.app.state
    servers: ReadServers = state["servers"]
    clock: Clock = state["clock"]
    models: PastModels = state["past_models"]
    return PastReads(servers, models, await past_point(servers.request(), clock, a_place(name, text), name))


QUERIES = {"queries": Provide(reads_of_request)}
"""The `dependencies=` of the service: a handler that takes `queries` gets those of its request."""

_CATEGORIES = {"order": "order", "SKU": "inventory", "saga": "saga"}


def not_found(request: AnyRequest, error: NotFound) -> Any:
    """Answer 404. With `as_of` the sentence says as of when, and since when there is such a thing."""
    scope: Any = request.scope
    reads = scope.get(READS)
    if not isinstance(reads, PastReads):
        return on_error(request, error)
    since = f", at {utc(reads.point.at)}" if reads.point.at is not None else ""
    sentence = f"as of position {reads.point.position}{since}, {error}"
    if reads.later is None or reads.later.category != _CATEGORIES.get(error.what):
        return on_error(request, RequestRefused(404, "not_found", sentence))
    came = f"its first event came at position {reads.later.position}, at {utc(reads.later.recorded_at)}"
    return on_error(request, RequestRefused(404, "not_there_yet", f"{sentence} yet: {came}"))


def coming(_: AnyRequest, error: PastComing) -> Response[bytes]:
    """Answer 202: what was asked for is being made, and how far that is."""
    left = error.seconds_left
    document = Coming(
        status="building",
        detail=str(error),
        position=error.position,
        events_done=error.done,
        events_per_second=round(error.rate),
        seconds_left=round(left, 1) if left is not None else None,
        waits_for=error.others,
    )
    after = 5 if error.others else 1 if left is None else max(1, min(5, round(left)))
    return Response(
        codec.json(document), status_code=202, media_type="application/json", headers={"Retry-After": str(after)}
    )


async def finish(response: Any) -> Any:
    """The `after_request=` of the service: opens what is sealed, and notes how far what was read had come.

    When that cannot be told any more, the answer is 503: without it, the caller could not ask for what is no older.
    """
    if (reads := _READS.get()) is not None:
        await reads.note_position()
    return await open_answer(response)


async def add_headers(message: Any, scope: Any) -> None:
    """Say in the head of an answer which server gave it. It is a `before_send=` hook of the service."""
    reads: RequestReads | None = scope.get(READS)
    if reads is None or message["type"] != "http.response.start" or message["status"] not in (200, 202):
        return
    if isinstance(reads, PastReads):
        message["headers"].append((AS_OF_POSITION.lower().encode(), str(reads.point.position).encode()))
        if reads.point.at is not None:
            message["headers"].append((AS_OF_TIME.lower().encode(), utc(reads.point.at).encode()))
    if reads.read_at is None:
        return
    if reads.has_replicas:
        message["headers"].append((SERVER.lower().encode(), reads.read_at.encode()))
        if reads.read_at != PRIMARY and (away := reads.primary_away):
            message["headers"].append((PRIMARY_AWAY.lower().encode(), b"%.1f" % away))
    if reads.position is not None:
        message["headers"].append((POSITION.lower().encode(), str(reads.position).encode()))
