"""Queries about dead letters: the events that readers of the log could not apply, and what waits behind them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.params import QueryParameter

from core import codec
from core.codec import Envelope
from core.errors import NotFound
from core.ports.dead_letters import DeadLetter, DeadLetters, DeadLetterSearch
from daemons.http.openapi import answers
from daemons.query_api.parameters import AnyRequest, IdInPath, a_uuid
from daemons.query_api.reads import Reads
from daemons.query_api.response import json_response

Many = Annotated[int, QueryParameter(ge=1, le=200, description="At most so many.")]
Word = Annotated[str | None, QueryParameter(description="Only those that have this.")]


class DeadLetterList(msgspec.Struct, kw_only=True):
    """The oldest first. `counts`: how many each reader has in all; `total` is their sum."""

    dead_letters: list[DeadLetter]
    counts: dict[str, int]
    total: int


class OneDeadLetter(msgspec.Struct, kw_only=True):
    """A dead letter, and its event as the log has it."""

    dead_letter: DeadLetter
    event: Envelope | None


@get("/api/v1/admin/dead-letters", responses=answers(DeadLetterList, 503))
async def dead_letters(
    request: AnyRequest, reader: Word = None, fingerprint: Word = None, limit: Many = 100
) -> Response[bytes]:
    """The events that readers of the log have set aside, each with the error and how much waits behind it."""
    letters: DeadLetters = request.app.state["dead_letters"]
    page = await letters.find(DeadLetterSearch(reader=reader, fingerprint=fingerprint, limit=limit))
    found = DeadLetterList(dead_letters=list(page.letters), counts=dict(page.counts), total=sum(page.counts.values()))
    return json_response(codec.json(found))


@get("/api/v1/admin/dead-letters/{id:str}", responses=answers(OneDeadLetter, 404, 503))
async def one_dead_letter(request: AnyRequest, queries: Reads, id: IdInPath) -> Response[bytes]:  # noqa: A002 - the path's name
    """One of them, with its event as it is in the log."""
    letters: DeadLetters = request.app.state["dead_letters"]
    letter = await letters.one(a_uuid("id", id))
    if letter is None:
        raise NotFound("dead letter", id)
    events = await queries.events_of_stream(letter.stream, after=letter.version - 1, limit=1)
    event = events[0].envelope() if events else None
    return json_response(codec.json(OneDeadLetter(dead_letter=letter, event=event)))


ROUTES = (dead_letters, one_dead_letter)
