"""Events as they were recorded: those of one order, everything about one order, the whole log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from litestar import Response, get
from litestar.params import FromPath
from msgspec import Meta

from core import codec
from core.codec import StoredEvent
from core.errors import FieldError, NotFound
from core.ports.log import EventStore
from core.ports.queries import Queries
from daemons.http.problems import wrong_fields
from daemons.query_api.answers import Events, LogEvents
from daemons.query_api.operations import query
from daemons.query_api.parameters import (
    AnyRequest,
    ManyEvents,
    Parameters,
    Position,
    Version,
    a_uuid,
    parameters,
)
from daemons.query_api.response import json_response

CATEGORIES = ("order", "inventory", "payment", "saga")
TYPES = frozenset(map(codec.event_type, codec.EVENTS))
Several = Annotated[str, Meta(min_length=1, max_length=1_000, description="One, or several with commas between.")]


class OfStream(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: Version = 0
    limit: ManyEvents = 1_000


class OfStory(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: Position = 0
    limit: ManyEvents = 1_000


class OfLog(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: Position = 0
    limit: ManyEvents = 100
    category: Several | None = None
    type: Several | None = None


@get("/api/v1/orders/{order_id:str}/events", operation_class=query(OfStream, Events, 404, path=("order_id",)))
async def events_of_order(request: AnyRequest, order_id: FromPath[str]) -> Response[bytes]:
    """The events of the order's own stream; `after` is a version."""
    queries: Queries = request.app.state["queries"]
    given, id_ = parameters(request, OfStream), a_uuid("order_id", order_id)
    page = await queries.events_of_stream(id_, after=given.after, limit=given.limit)
    # The id may be that of a stream of another kind: for this route there is no such order then.
    if any(event.category != "order" for event in page) or not (page or given.after):
        raise NotFound("order", order_id)
    return json_response(_events(page, page[-1].version if page else given.after))


@get("/api/v1/orders/{order_id:str}/timeline", operation_class=query(OfStory, Events, 404, path=("order_id",)))
async def timeline(request: AnyRequest, order_id: FromPath[str]) -> Response[bytes]:
    """Everything that was recorded about the order: its own events, its stock, its payment, its sagas."""
    queries: Queries = request.app.state["queries"]
    given, id_ = parameters(request, OfStory), a_uuid("order_id", order_id)
    page = await queries.events_of_correlation(id_, after=given.after, limit=given.limit)
    if not (page or given.after):
        raise NotFound("order", order_id)
    return json_response(_events(page, page[-1].position if page else given.after))


@get("/api/v1/events", operation_class=query(OfLog, LogEvents))
async def events(request: AnyRequest) -> Response[bytes]:
    """The log, in order, from a position on."""
    queries: Queries = request.app.state["queries"]
    store: EventStore = request.app.state["store"]
    given = parameters(request, OfLog)
    categories, types = several("category", given.category, CATEGORIES), several("type", given.type, TYPES)
    head = await store.head()
    page = await queries.events(after=given.after, limit=given.limit, categories=categories, types=types)
    # A page that is not full shows everything up to the head that was read before it.
    head = max([head, *(event.position for event in page[-1:])])
    after = page[-1].position if len(page) == given.limit else max(given.after, head)
    return json_response(
        codec.json({"events": [event.envelope() for event in page], "next_after": after, "head": head})
    )


def several(name: str, text: str | None, known: Sequence[str] | frozenset[str]) -> tuple[str, ...]:
    """The names in a list with commas; each has to be known."""
    names = tuple(text.split(",")) if text is not None else ()
    if unknown := [one for one in names if one not in known]:
        raise wrong_fields(FieldError(name, f"{', '.join(unknown)}: must be of {', '.join(sorted(known))}"))
    return names


def _events(page: Sequence[StoredEvent], next_after: int) -> bytes:
    return codec.json({"events": [event.envelope() for event in page], "next_after": next_after})
