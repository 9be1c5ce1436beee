"""The live stream of the log as server-sent events; a reader that connects again goes on after its last event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import structlog
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.types import Receive, Scope, Send

from core import codec
from core.errors import FieldError, Unavailable
from core.ports.log import EventStore
from core.services.open_answers import AnswerOpener
from daemons.http.callers import caller_of
from daemons.http.headers import one_header
from daemons.http.problems import log_failure, problems, wrong_fields
from daemons.process.guard.event_source import RETRY, come_back, is_event_source
from daemons.process.guard.places import Places, owner_of
from daemons.process.guard.refusals import Refusal
from daemons.query_api.events import CATEGORIES, TYPES
from daemons.query_api.frames import Filter
from daemons.query_api.hub import Hub
from daemons.query_api.parameters import (
    LARGEST,
    AnyRequest,
    PayloadShape,
    Several,
    several,
)

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # for a proxy in front
)
LAST_EVENT_ID = "Last-Event-ID"

_log = structlog.get_logger(__name__)
FirstPosition = Annotated[
    int | None, QueryParameter(ge=0, le=LARGEST, description="A place in the log; only what comes after it.")
]
Skip = Annotated[bool, QueryParameter(description="When 10,000 behind, jump to the head after an event `skipped`.")]
FRAMES = ResponseSpec(
    str,
    generate_examples=False,
    media_type="text/event-stream",
    description="Frames of id (position), event (type) and data (the envelope); comments keep the line alive.",
)


class Live(Response[None]):
    """A response that sends the chunks of a generator until it ends or the reader disconnects, and then closes it.

    It is refused while all places for readers are taken, or all that this reader's address may have.
    """

    def __init__(self, chunks: AsyncGenerator[bytes], places: Places) -> None:
        super().__init__(None)
        self._chunks = chunks
        self._places = places

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        return self._serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        owner = owner_of(scope["client"])
        if not self._places.take(owner):
            detail = "too many readers follow the log; end one, or come back later"
            await Refusal(429, "too_many_readers", detail, {"Retry-After": "5"}).answer(send)
            return
        try:
            await self._send_all(scope, receive, send)
        finally:
            self._places.leave(owner)

    async def _send_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        pumping = asyncio.create_task(self._pump(scope, send))
        gone = asyncio.create_task(_until_gone(receive))
        caller = caller_of(scope)
        ended = {asyncio.create_task(caller.until_ended())} if caller else set[asyncio.Task[None]]()
        try:
            done, _ = await asyncio.wait({pumping, gone, *ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (gone, pumping, *ended):
                task.cancel()
            await asyncio.gather(gone, pumping, *ended, return_exceptions=True)
        if done == ended:  # the key is revoked or has expired, and nothing else has ended the response
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, scope: Scope, send: Send) -> None:
        """Send every chunk. An error is logged and ends the response properly, so that the reader connects again."""
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except Unavailable as error:
            if not error.logged:
                _log.warning("a live stream ends", reason=str(error))
        except Exception as error:  # noqa: BLE001 - status 200 is sent already, so nobody can answer with a problem
            log_failure(scope, error)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@get("/api/v1/events/stream", responses={200: FRAMES} | problems(429, 503))
async def stream(
    request: AnyRequest,
    after: FirstPosition = None,
    category: Several = None,
    type: Several = None,  # noqa: A002 - the name of the parameter
    skip: Skip = False,  # noqa: FBT002 - a parameter of the query
    shape: PayloadShape = "latest",
) -> Live | Response[bytes]:
    """The log as it grows: on from Last-Event-ID, else from `after`, else from its head."""
    store: EventStore = request.app.state["store"]
    hub: Hub = request.app.state["hub"]
    choice = Filter(several("category", category, CATEGORIES), several("type", type, TYPES), shape)
    head = await store.head()
    resumed = _last_event_id(request)
    start = after if resumed is None else resumed
    if start is not None and start > head:
        if is_event_source(request.headers.get("accept", "").encode()):
            return Response(_beyond(head), headers={"Cache-Control": "no-store"}, media_type="text/event-stream")
        field = "after" if resumed is None else LAST_EVENT_ID
        raise wrong_fields(FieldError(field, f"is beyond the head of the log, which is {head}"))
    opener: AnswerOpener = request.app.state["opener"]
    chunks = hub.stream(head if start is None else start, choice, skip=skip)
    return Live(opener.open_all(chunks), hub.places)


def _beyond(head: int) -> bytes:
    """What a browser is told that has read more than there is: the log is another one than it has followed."""
    return come_back(RETRY, b"event: beyond\ndata: %b\n\n" % codec.json({"head": head}))


ROUTES = (stream,)


def _last_event_id(request: AnyRequest) -> int | None:
    text = one_header(request.scope["headers"], LAST_EVENT_ID) or ""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= LARGEST):
        raise wrong_fields(FieldError(LAST_EVENT_ID, "must be a position"))
    return int(text)
