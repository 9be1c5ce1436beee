"""Dead letters: an operator has a reader try events again that it has set aside, or leave one out for ever.

The act is recorded first, with who and why. Then the reader itself does it, between two batches, so that nobody else
ever writes what it keeps. While it is stopped, that waits until it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from core.codec import UNREADABLE
from core.domain import reader
from core.domain.inventory import INVENTORY
from core.domain.message import Metadata, OrderId, StreamId, payment_of, reader_stream
from core.domain.order import ORDER
from core.domain.payment import PAYMENT
from core.domain.reader import DeadLetterRetried, DeadLetterSkipped
from core.errors import NotAllowed, NotFound
from core.ports.clock import Clock
from core.ports.dead_letters import DeadLetter, DeadLetters, DeadLetterSearch
from core.ports.log import Answer, Entry, EventStore, IdempotencyKey, NewEvent, Result
from core.ports.sagas import READER as SAGA_RUNNER
from core.ports.webhooks import READER as NOTIFIER
from core.projections import GROUPS
from core.services.catch_up_row import catch_up_row
from core.services.execute import Decision, Outcome, Terms, run_command
from core.services.load import load_state
from core.services.set_aside import in_words
from core.tracing import kept_traceparent

WITHIN = 3.0  # seconds that an answer waits for what the reader does
LOOK_EVERY = 0.05  # seconds
MOST_AT_ONCE = 200


class LetterWish(StrEnum):
    RETRY = "retry"
    SKIP = "skip"


Became = Literal["done", "fails", "waits"]


class LetterResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a dead letter.

    `state`: `done`: its row waits no longer; `fails`: the event still cannot be applied, or a later one of the row
    cannot; `waits`: its reader has not tried it yet, and does when it runs.
    """

    id: UUID
    reader: str
    row: UUID
    event_type: str
    position: int
    state: Became
    error: str = ""
    act_position: int = 0


class TriedOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a try would come to now: how many events would be applied, and the error of the one that cannot be."""

    id: UUID
    applied: int
    error: str


@dataclass(frozen=True)
class LetterDesk:
    """What acts on dead letters need."""

    store: EventStore
    letters: DeadLetters
    clock: Clock


async def act_on(
    desk: LetterDesk, id_: UUID, wish: LetterWish, reason: str, terms: Terms
) -> tuple[Outcome, LetterResult | None]:
    """Record the act, and tell the reader. Raises NotFound and what `run_command` raises."""
    letter = await _letter(desk, id_)
    if letter is None:
        known = await desk.store.answered(terms.key.scope, terms.key.key) if terms.key and not terms.dry_run else None
        if known is None:
            raise NotFound("dead letter", str(id_))
        return Outcome(known.answer, replayed=True), None
    outcome = await run_command(desk.store, _OnReader(desk, letter, wish, reason, terms, desk.clock.now()), terms)
    if outcome.preview is not None or outcome.answer.result is Result.REJECTED:
        return outcome, None
    if wish is LetterWish.SKIP:
        await desk.letters.skip(id_, by=terms.user_id or "anonymous", reason=reason)
    else:
        await desk.letters.retry([id_])
    (result,) = await _results(desk, [(letter, outcome.answer.position or 0)])
    return outcome, result


async def retry_all(
    desk: LetterDesk, search: DeadLetterSearch, reason: str, terms: Terms
) -> tuple[Sequence[Outcome], Sequence[LetterResult]]:
    """Have every dead letter that is found tried again, those first that were not for the longest time.

    Raises what `run_command` raises.
    """
    found = await desk.letters.find(msgspec.structs.replace(search, order="untried", counted=False))
    acted: list[tuple[DeadLetter, Outcome]] = []
    versions: dict[StreamId, int] = {}  # of the readers' streams, so that none is read anew for each act
    for letter in found:
        each = _terms_of(terms, letter)
        command = _OnReader(desk, letter, LetterWish.RETRY, reason, each, desk.clock.now())
        command.version = versions.get(command.stream, 0)
        with contextlib.suppress(NotAllowed):  # it waits no longer: somebody else had it tried meanwhile
            acted.append((letter, await run_command(desk.store, command, each)))
        versions[command.stream] = command.version
    outcomes = [outcome for _, outcome in acted]
    if terms.dry_run:
        return outcomes, ()
    await desk.letters.retry([letter.id for letter, _ in acted])
    return outcomes, await _results(desk, [(letter, outcome.answer.position or 0) for letter, outcome in acted])


async def try_out(desk: LetterDesk, letter: DeadLetter) -> TriedOut:
    """What a try would come to now, by the rules of this process. Nothing is changed."""
    if letter.reader == SAGA_RUNNER:
        return await _try_out_saga(desk.store, letter)
    if letter.reader.startswith(f"{NOTIFIER}."):
        return TriedOut(id=letter.id, applied=0, error="only a call tells what the receiver of the webhook answers now")
    group = next((group for group in GROUPS if group.reader == letter.reader), None)
    models = desk.letters.row_models(letter.reader)
    if group is None or models is None:
        return TriedOut(id=letter.id, applied=0, error=f"{letter.reader} has no read models to try it out on")
    found = await catch_up_row(group, models, StreamId(letter.row), (await models.aside()).skipped)
    return TriedOut(id=letter.id, applied=found.applied, error=found.parked.error if found.parked else "")


async def _try_out_saga(store: EventStore, letter: DeadLetter) -> TriedOut:
    """Read what a runner reads of the saga: its own stream, its order and its payment, and the stock that it needs."""
    order_id = OrderId(letter.correlation_id)
    try:
        await store.load(StreamId(letter.row))
        await load_state(store, ORDER, StreamId(order_id))
        await load_state(store, PAYMENT, StreamId(payment_of(order_id)))
        if letter.category == INVENTORY.category:
            await load_state(store, INVENTORY, StreamId(letter.stream))
    except UNREADABLE as error:
        return TriedOut(id=letter.id, applied=0, error=in_words(error))
    return TriedOut(id=letter.id, applied=1 + letter.waiting, error="")


async def _results(desk: LetterDesk, acted: Sequence[tuple[DeadLetter, int]]) -> Sequence[LetterResult]:
    """What the readers have made of the letters within WITHIN seconds; each comes with the position of its act."""
    until = asyncio.get_running_loop().time() + WITHIN
    results: dict[UUID, LetterResult] = {}
    left = [*acted]
    while left:
        late = asyncio.get_running_loop().time() > until
        rows = [letter.row for letter, _ in left]
        now = {(each.reader, each.row): each for each in await desk.letters.find(_of_rows(rows))}
        for letter, position in left:
            if (became := _became(letter, now.get((letter.reader, letter.row)), position)).state != "waits" or late:
                results[letter.id] = became
        left = [each for each in left if each[0].id not in results]
        if left:
            await asyncio.sleep(LOOK_EVERY)
    return [results[letter.id] for letter, _ in acted]


def _of_rows(rows: Sequence[UUID]) -> DeadLetterSearch:
    """Each of the readers has at most one dead letter of a row."""
    return DeadLetterSearch(rows=rows, limit=len(rows) * (len(GROUPS) + 1), counted=False)


async def _letter(desk: LetterDesk, id_: UUID) -> DeadLetter | None:
    found = await desk.letters.find(DeadLetterSearch(ids=(id_,), counted=False))
    return found[0] if found else None


def _became(before: DeadLetter, now: DeadLetter | None, position: int) -> LetterResult:
    tried = now is None or (now.id, now.tries) != (before.id, before.tries)
    return LetterResult(
        id=before.id,
        reader=before.reader,
        row=before.row,
        event_type=before.event_type,
        position=before.position,
        state="done" if now is None else "fails" if tried else "waits",
        error="" if now is None else now.error,
        act_position=position,
    )


def _terms_of(terms: Terms, letter: DeadLetter) -> Terms:
    key = terms.key
    own = None if key is None else IdempotencyKey(f"{key.scope} {letter.id}", key.key, key.fingerprint, key.former)
    return Terms(terms.user_id, terms.request_id, None, own, terms.dry_run, terms.ignored, terms.note)


@dataclass(slots=True)
class _OnReader:
    """An act as a command on the stream of the reader that has set the event aside."""

    desk: LetterDesk
    letter: DeadLetter
    wish: LetterWish
    reason: str
    terms: Terms
    now: datetime
    version: int = 0

    @property
    def stream(self) -> StreamId:
        return reader_stream(self.letter.reader)

    @property
    def category(self) -> str:
        return reader.CATEGORY

    async def load(self) -> int:
        self.version += len(await self.desk.store.load(self.stream, after=self.version))
        if await _letter(self.desk, self.letter.id) is None:
            raise NotAllowed(f"{self.letter.event_type} at position {self.letter.position} waits no longer")
        return self.version

    def decide(self) -> Decision:
        letter = self.letter
        kind = DeadLetterSkipped if self.wish is LetterWish.SKIP else DeadLetterRetried
        event = kind(
            reader=letter.reader,
            by=self.terms.user_id or "anonymous",
            reason=self.reason,
            event_id=letter.event_id,
            event_type=letter.event_type,
            stream=StreamId(letter.stream),
            version=letter.version,
            position=letter.position,
        )
        metadata = Metadata(
            correlation_id=letter.correlation_id,
            causation_id=self.terms.command_id(),
            user_id=self.terms.user_id,
            request_id=self.terms.request_id,
            traceparent=kept_traceparent(),
        )
        own = Entry(self.stream, self.category, self.version, [NewEvent(uuid7(), event, metadata)])
        fields = {"id": str(letter.id), "reader": letter.reader}
        return Decision(Answer(Result.DONE, self.stream, self.version + 1, 0, fields), own)
