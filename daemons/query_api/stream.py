"""The live stream: server-sent events that go on where a reader left off, without gap or duplicate."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import get
from litestar.datastructures import State
from litestar.response import Stream
from msgspec import Meta

from core.errors import FieldError
from daemons.problems import wrong_fields
from daemons.query_api.described import query
from daemons.query_api.desk import Desk
from daemons.query_api.events import CATEGORIES, TYPES, Several, several
from daemons.query_api.hub import Filter, Hub
from daemons.query_api.parameters import LARGEST, AnyRequest, Parameters, Position, parameters

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
DOCUMENT: dict[str, Any] = {
    "description": "Frames of id (position), event (type) and data (the envelope); comments keep the line alive.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


class Live(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: Position | None = None
    category: Several | None = None
    type: Several | None = None
    skip: Annotated[bool, Meta(description="When 10,000 behind, jump to the head after an event `skipped`.")] = False


@get("/api/v1/events/stream", operation_class=query(Live, DOCUMENT))
async def stream(request: AnyRequest, state: State) -> Stream:
    """The log as it grows: on from Last-Event-ID, else from `after`, else from its head."""
    desk: Desk = state["desk"]
    hub: Hub = state["hub"]
    asked = parameters(request, Live)
    wanted = Filter(several("category", asked.category, CATEGORIES), several("type", asked.type, TYPES))
    head = await desk.app.store.head()
    after = _last_event_id(request)
    after = asked.after if after is None else after
    if after is not None and after > head:
        raise wrong_fields(FieldError("after", f"is beyond the head of the log, which is {head}"))
    chunks = hub.stream(head if after is None else after, wanted, skip=asked.skip)
    return Stream(chunks, media_type="text/event-stream", headers=HEADERS)


def _last_event_id(request: AnyRequest) -> int | None:
    text = request.headers.get("last-event-id", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= LARGEST):
        raise wrong_fields(FieldError("Last-Event-ID", "must be a position"))
    return int(text)
