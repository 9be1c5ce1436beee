"""The query by which an administrator finds events: by who, what, where, when and why, over the whole log."""

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
from core.errors import FieldError
from core.ports.inspection import EventSearch, Inspection
from daemons.http.openapi import answers
from daemons.http.problems import wrong_fields
from daemons.query_api.events import CATEGORIES, TYPES
from daemons.query_api.moments import a_moment
from daemons.query_api.parameters import (
    AfterPosition,
    BeforePosition,
    ManyEvents,
    Moment,
    PayloadShape,
    Several,
    Text,
    several,
)
from daemons.query_api.response import json_response

Actor = Annotated[
    str | None, QueryParameter(min_length=1, max_length=200, description="The name that the event has of its author.")
]


class FoundEvents(msgspec.Struct, kw_only=True):
    """The newest first. `next_before` is the `before` of the next page; null: nothing older fits."""

    events: list[Envelope]
    next_before: int | None


@get("/api/v1/admin/events", responses=answers(FoundEvents, 503))
async def find_events(
    state: State,
    *,
    before: BeforePosition = None,
    after: AfterPosition = 0,
    since: Moment = None,
    until: Moment = None,
    category: Several = None,
    type: Several = None,  # noqa: A002 - the name of the parameter
    stream_id: FromQuery[UUID | None] = None,
    order_id: FromQuery[UUID | None] = None,
    correlation_id: FromQuery[UUID | None] = None,
    causation_id: FromQuery[UUID | None] = None,
    actor: Actor = None,
    request_id: Text = None,
    limit: ManyEvents = 100,
    shape: PayloadShape = "latest",
) -> ASGIApp:
    """The newest events that fit. A page looks at 50,000 events at most, so `next_before` may follow an empty one."""
    if order_id is not None and correlation_id is not None:
        raise wrong_fields(FieldError("correlation_id", "cannot be given together with order_id: it is the same"))
    inspection: Inspection = state["inspection"]
    search = EventSearch(
        limit=limit,
        before=before,
        after=after,
        since=a_moment("since", since),
        until=a_moment("until", until, end=True),
        categories=several("category", category, CATEGORIES),
        types=several("type", type, TYPES),
        stream_id=stream_id,
        correlation_id=correlation_id or order_id,
        causation_id=causation_id,
        actor=actor,
        request_id=request_id,
    )
    page = await inspection.events(search)
    found = FoundEvents(events=[event.envelope(shape) for event in page.events], next_before=page.next_before)
    return json_response(codec.json(found))


ROUTES = (find_events,)
