"""Queries that answer events as they were recorded: an order's own, all that concern an order, the whole log."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from litestar import get
from litestar.params import FromQuery
from litestar.types import ASGIApp

from core import codec
from core.codec import Shape, StoredEvent
from core.errors import FieldError, NotFound
from core.ports.queries import LOG, LogSearch
from daemons.http.openapi import answers
from daemons.http.problems import wrong_fields
from daemons.query_api.answers import Events, LogEvents
from daemons.query_api.moments import a_moment
from daemons.query_api.parameters import (
    AfterPosition,
    AfterVersion,
    BeforePosition,
    IdInPath,
    ManyEvents,
    Moment,
    PayloadShape,
    Several,
    a_uuid,
    several,
)
from daemons.query_api.reads import Reads
from daemons.query_api.response import json_response

CATEGORIES = ("order", "inventory", "payment", "saga", "reader", "customer")
TYPES = tuple(sorted(map(codec.event_type, codec.EVENTS)))


@get("/api/v1/orders/{order_id:str}/events", responses=answers(Events, 404, 409, 503))
async def events_of_order(
    queries: Reads,
    order_id: IdInPath,
    after: AfterVersion = 0,
    limit: ManyEvents = 1_000,
    shape: PayloadShape = "latest",
) -> ASGIApp:
    """The events of the order's own stream; `after` is a version."""
    id_ = a_uuid("order_id", order_id)
    page = await queries.events_of_stream(id_, after=after, limit=limit)
    # The id may belong to a stream that is no order's, such as a saga's: this route then answers that it is not found.
    if any(event.category != "order" for event in page) or not (page or after):
        raise NotFound("order", order_id)
    return json_response(_events(page, page[-1].version if page else after, shape))


@get("/api/v1/orders/{order_id:str}/timeline", responses=answers(Events, 404, 409, 503))
async def timeline(
    queries: Reads,
    order_id: IdInPath,
    after: AfterPosition = 0,
    limit: ManyEvents = 1_000,
    shape: PayloadShape = "latest",
) -> ASGIApp:
    """Everything that was recorded about the order: its own events, its stock, its payment, its sagas."""
    id_ = a_uuid("order_id", order_id)
    page = await queries.events_of_correlation(id_, after=after, limit=limit)
    if not (page or after):
        raise NotFound("order", order_id)
    return json_response(_events(page, page[-1].position if page else after, shape))


@get("/api/v1/events", responses=answers(LogEvents, 409, 503))
async def events(
    queries: Reads,
    after: AfterPosition = 0,
    before: BeforePosition = None,
    at: Moment = None,
    limit: ManyEvents = 100,
    category: Several = None,
    type: Several = None,  # noqa: A002 - the name of the parameter
    order_id: FromQuery[UUID | None] = None,
    stream_id: FromQuery[UUID | None] = None,
    shape: PayloadShape = "latest",
) -> ASGIApp:
    """The log, in order: from a position or a time on, or the last events before a position."""
    moment = a_moment("at", at)
    if (after > 0) + (before is not None) + (moment is not None) > 1:
        raise wrong_fields(FieldError("after", "cannot be given together with before or at: each says where to read"))
    search = LogSearch(
        after=after if moment is None else await queries.position_at(moment) - 1,
        before=before,
        limit=limit,
        categories=several("category", category, CATEGORIES),
        types=several("type", type, TYPES),
        order_id=order_id,
        stream_id=stream_id,
    )
    head = await queries.position_of(LOG)
    page = await queries.events(search)
    # The head was read before the page, so a page that is not full holds every matching event up to the head.
    head = max([head, *(event.position for event in page[-1:])])
    body = {"events": [event.envelope(shape) for event in page], **_pages_beside(search, page, head), "head": head}
    return json_response(codec.json(body))


def _pages_beside(search: LogSearch, page: Sequence[StoredEvent], head: int) -> dict[str, int]:
    """Where the pages after and before this one begin. A page that is not full has come to the end of the log."""
    full = len(page) == search.limit
    if search.before is None:
        last = page[-1].position if full else max(search.after, head)
        return {"next_after": last, "next_before": search.after + 1}
    return {"next_after": min(max(0, search.before - 1), head), "next_before": page[0].position if full else 0}


ROUTES = (events_of_order, timeline, events)


def _events(page: Sequence[StoredEvent], next_after: int, shape: Shape) -> bytes:
    return codec.json({"events": [event.envelope(shape) for event in page], "next_after": next_after})
