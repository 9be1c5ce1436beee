"""The commands on dead letters: an operator has events tried again that a reader has set aside, or leaves one out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ASGIApp

from core import codec
from core.bootstrap import App
from core.codec import Envelope, envelope_of
from core.ports.dead_letters import DeadLetterSearch
from core.sagas.wishes import checked_reason
from core.services.dead_letters import (
    MOST_AT_ONCE,
    LetterDesk,
    LetterResult,
    LetterWish,
    TriedOut,
    act_on,
    retry_all,
    try_out,
)
from core.services.execute import Outcome
from daemons.command_api.operations import command
from daemons.command_api.shapes import ReasonBody, render
from daemons.command_api.terms import AnyRequest, CommandRequest, path_uuid
from daemons.http.reply import Reply


class RetryBody(msgspec.Struct, frozen=True, kw_only=True):
    """Which to try again: those of a reader, those with a fingerprint, those of both, or without either, all."""

    reason: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": 500})]
    reader: str | None = None
    fingerprint: str | None = None


class LetterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`done`: so many rows wait no longer; `failing`: so many still do; `waiting`: their reader has not tried yet.

    `fitting`: how many there were that fit what was asked for; of more than 200 only these are tried.
    """

    results: list[LetterResult]
    done: int
    failing: int
    waiting: int
    fitting: int


class LetterTrial(msgspec.Struct, frozen=True, kw_only=True):
    """The events that the command would record, and what each try would come to. Nothing was recorded."""

    dry_run: bool
    events: list[Envelope]
    trials: list[TriedOut]


@post("/api/v1/admin/dead-letters/{id:str}/retry", **command(ReasonBody, LetterAnswer))
async def retry_letter(request: AnyRequest, state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """Have the reader try the event again, and then all that waits behind it. A dry run says what it would come to."""
    return await _act(request, state, id, LetterWish.RETRY)


@post("/api/v1/admin/dead-letters/{id:str}/skip", **command(ReasonBody, LetterAnswer))
async def skip_letter(request: AnyRequest, state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """Have the reader leave the event out for ever, vouched for by name, and apply all that waits behind it."""
    return await _act(request, state, id, LetterWish.SKIP)


@post("/api/v1/admin/dead-letters/retry", **command(RetryBody, LetterAnswer))
async def retry_letters(request: AnyRequest, state: State) -> ASGIApp:
    """Have all events tried again that were set aside, or those of one reader or one cause."""
    sent = CommandRequest(request)
    body = await sent.body(RetryBody)
    checked_reason(body.reason)
    terms = sent.terms("POST /api/v1/admin/dead-letters/retry", body)
    desk = _desk(state)
    search = DeadLetterSearch(reader=body.reader, fingerprint=body.fingerprint, limit=MOST_AT_ONCE)
    fitting = (await desk.letters.summary(reader=body.reader, fingerprint=body.fingerprint)).total
    outcomes, results = await retry_all(desk, search, body.reason, terms)
    if terms.dry_run:
        letters = await desk.letters.find(search)
        return _trial(outcomes, [await try_out(desk, letter) for letter in letters])
    return _answer(results, fitting)


ROUTES = (retry_letter, skip_letter, retry_letters)


async def _act(request: AnyRequest, state: State, id_: str, wish: LetterWish) -> ASGIApp:
    sent = CommandRequest(request)
    body = await sent.body(ReasonBody)
    checked_reason(body.reason)
    terms = sent.terms(f"POST /api/v1/admin/dead-letters/{{id}}/{wish}", body)
    desk, letter_id = _desk(state), path_uuid(id_, "id")
    outcome, result = await act_on(desk, letter_id, wish, body.reason, terms)
    if outcome.preview is not None:
        letter = await desk.letters.one(letter_id)
        tried = [await try_out(desk, letter)] if letter is not None and wish is LetterWish.RETRY else []
        return _trial([outcome], tried)
    if outcome.answer.result not in ("created", "done"):
        return render(outcome)
    results = [] if result is None else [result]
    return _answer(results, len(results), replayed=outcome.replayed)


def _desk(state: State) -> LetterDesk:
    app: App = state["app"]
    return LetterDesk(app.store, app.dead_letters, app.clock)


def _answer(results: Sequence[LetterResult], fitting: int, *, replayed: bool = False) -> ASGIApp:
    states = [result.state for result in results]
    counts = {"done": states.count("done"), "failing": states.count("fails"), "waiting": states.count("waits")}
    answer = LetterAnswer(results=list(results), **counts, fitting=fitting)
    return Reply(200, codec.json(answer), {"Idempotent-Replayed": "true"} if replayed else {})


def _trial(outcomes: Sequence[Outcome], trials: Sequence[TriedOut]) -> ASGIApp:
    events = [envelope_of(event) for outcome in outcomes for event in outcome.preview or ()]
    return Reply(200, codec.json(LetterTrial(dry_run=True, events=events, trials=list(trials))), {})
