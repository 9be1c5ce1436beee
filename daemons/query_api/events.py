"""Events as they were recorded: of one order, of its whole story, of everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from litestar import Response, get
from litestar.params import FromPath
from msgspec import Meta

from core import codec
from core.adapters.postgres.queries.log import events_of_correlation, events_of_log, events_of_stream
from core.codec import StoredEvent
from core.errors import FieldError, NotFound
from daemons.http.problems import wrong_fields
from daemons.query_api.answers import Events, LogEvents
from daemons.query_api.desk import Desk
from daemons.query_api.operations import query
from daemons.query_api.orders import answer
from daemons.query_api.parameters import (
    AnyRequest,
    ManyEvents,
    Parameters,
    Position,
    Version,
    a_uuid,
    parameters,
)

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
    desk: Desk = request.app.state["desk"]
    asked, id_ = parameters(request, OfStream), a_uuid("order_id", order_id)
    found = await desk.read(lambda c: events_of_stream(c, id_, after=asked.after, limit=asked.limit))
    # Any stream can be asked for by its id, but an order is only what is one.
    if any(event.category != "order" for event in found) or not (found or asked.after):
        raise NotFound("order", order_id)
    return answer(_events(found, found[-1].version if found else asked.after))


@get("/api/v1/orders/{order_id:str}/timeline", operation_class=query(OfStory, Events, 404, path=("order_id",)))
async def timeline(request: AnyRequest, order_id: FromPath[str]) -> Response[bytes]:
    """Everything that was recorded about the order: its own events, its stock, its payment, its sagas."""
    desk: Desk = request.app.state["desk"]
    asked, id_ = parameters(request, OfStory), a_uuid("order_id", order_id)
    found = await desk.read(lambda c: events_of_correlation(c, id_, after=asked.after, limit=asked.limit))
    if not (found or asked.after):
        raise NotFound("order", order_id)
    return answer(_events(found, found[-1].position if found else asked.after))


@get("/api/v1/events", operation_class=query(OfLog, LogEvents))
async def events(request: AnyRequest) -> Response[bytes]:
    """The log, in order, from a position on."""
    desk: Desk = request.app.state["desk"]
    asked = parameters(request, OfLog)
    categories, types = several("category", asked.category, CATEGORIES), several("type", asked.type, TYPES)
    head = await desk.app.store.head()
    found = await desk.read(
        lambda c: events_of_log(c, after=asked.after, limit=asked.limit, categories=categories, types=types)
    )
    # Less than a full page: there was nothing else up to the head as we read it before.
    head = max([head, *(event.position for event in found[-1:])])
    after = found[-1].position if len(found) == asked.limit else max(asked.after, head)
    return answer(codec.json({"events": [event.envelope() for event in found], "next_after": after, "head": head}))


def several(name: str, text: str | None, known: Sequence[str] | frozenset[str]) -> tuple[str, ...]:
    """The names in a list with commas; each has to be known."""
    names = tuple(text.split(",")) if text is not None else ()
    if unknown := [one for one in names if one not in known]:
        raise wrong_fields(FieldError(name, f"{', '.join(unknown)}: must be of {', '.join(sorted(known))}"))
    return names


def _events(found: Sequence[StoredEvent], next_after: int) -> bytes:
    return codec.json({"events": [event.envelope() for event in found], "next_after": next_after})
