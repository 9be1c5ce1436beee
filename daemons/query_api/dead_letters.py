"""Queries about dead letters: the events that readers of the log could not apply, and what waits behind them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import QueryParameter
from litestar.types import ASGIApp

from core import codec
from core.codec import Envelope
from core.errors import FieldError, InvalidInput, NotFound
from core.ports.dead_letters import DeadLetter, DeadLetterCause, DeadLetters, DeadLetterSearch
from daemons.http.openapi import answers
from daemons.query_api.parameters import AnyRequest, CursorText, IdInPath, a_uuid
from daemons.query_api.reads import Reads
from daemons.query_api.response import json_response

Many = Annotated[int, QueryParameter(ge=1, le=200, description="At most so many.")]
Each = Annotated[int | None, QueryParameter(ge=1, le=200, description="At most so many of each cause.")]
Sort = Annotated[Literal["position", "-position"], QueryParameter(description="The oldest first, or the newest.")]
Word = Annotated[str | None, QueryParameter(description="Only those that have this.")]


class DeadLetterList(msgspec.Struct, kw_only=True):
    """The oldest first, or the newest. `counts`: how many each reader has in all; `total` is their sum.

    `causes`: the 100 with the most, each with how many it has in all. `next_cursor`: with it, the next ones are listed.
    """

    dead_letters: list[DeadLetter]
    counts: dict[str, int]
    total: int
    causes: list[DeadLetterCause]
    next_cursor: str | None


class OneDeadLetter(msgspec.Struct, kw_only=True):
    """A dead letter, and its event as the log has it."""

    dead_letter: DeadLetter
    event: Envelope | None


@get("/api/v1/admin/dead-letters", responses=answers(DeadLetterList, 503))
async def dead_letters(
    request: AnyRequest,
    reader: Word = None,
    fingerprint: Word = None,
    sort: Sort = "position",
    each: Each = None,
    cursor: CursorText = None,
    limit: Many = 100,
) -> ASGIApp:
    """The events that readers of the log have set aside, each with the error and how much waits behind it."""
    letters: DeadLetters = request.app.state["dead_letters"]
    after = None if cursor is None else _place(cursor)
    order = "oldest" if sort == "position" else "newest"
    search = DeadLetterSearch(reader=reader, fingerprint=fingerprint, order=order, each=each, after=after, limit=limit)
    page = await letters.find(search)
    told = await letters.summary()
    found = DeadLetterList(
        dead_letters=list(page),
        counts=dict(told.counts),
        total=told.total,
        causes=list(told.causes),
        next_cursor=f"{page[-1].position}.{page[-1].id}" if len(page) == limit else None,
    )
    return json_response(codec.json(found))


def _place(cursor: str) -> tuple[int, UUID]:
    """Raises InvalidInput for a text that is no `next_cursor`."""
    position, _, id_ = cursor.partition(".")
    if not (position.isascii() and position.isdigit() and len(position) < 19):
        raise InvalidInput([FieldError("cursor", "must be a next_cursor, as it was given")])
    return int(position), a_uuid("cursor", id_)


@get("/api/v1/admin/dead-letters/{id:str}", responses=answers(OneDeadLetter, 404, 503))
async def one_dead_letter(request: AnyRequest, queries: Reads, id: IdInPath) -> ASGIApp:  # noqa: A002 - the path's name
    """One of them, with its event as it is in the log."""
    letters: DeadLetters = request.app.state["dead_letters"]
    letter = await letters.one(a_uuid("id", id))
    if letter is None:
        raise NotFound("dead letter", id)
    events = await queries.events_of_stream(letter.stream, after=letter.version - 1, limit=1)
    event = events[0].envelope() if events else None
    return json_response(codec.json(OneDeadLetter(dead_letter=letter, event=event)))


ROUTES = (dead_letters, one_dead_letter)
