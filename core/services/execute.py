"""Execute: load what a command depends on, decide, and append. After a conflict, load and decide again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid5, uuid7

from core.domain.decider import Decider
from core.domain.message import Command, Event, Metadata, Recorded, StreamId
from core.errors import KeyReused, NotAllowed, PreconditionFailed, SagaTaken, VersionConflict
from core.ports.audit import AuditNote
from core.ports.log import (
    Accepted,
    Answer,
    Append,
    Conflict,
    Entry,
    EventStore,
    IdempotencyKey,
    KeptAnswer,
    LeaseLost,
    NewEvent,
    Replay,
    Result,
    SagaRow,
)
from core.services.load import Loaded, StateCache, load_state
from core.tracing import kept_traceparent

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)
S = TypeVar("S")

KEEP_TRYING = 2.0  # seconds for which a command that names no version decides again after conflicts
PAUSE = 0.005  # seconds: the longest pause before the second try; it doubles each time, and each pause is random


class Terms(msgspec.Struct, frozen=True):
    """What a caller may say about how to execute a command. `expected` None: at any version of the stream.

    `ignored` are the fields that the caller sent and nobody knows; they are kept with the answer, which names them.
    `note`: what the audit records together with the events of the command.
    """

    user_id: str | None = None
    request_id: str | None = None
    expected: int | None = None
    key: IdempotencyKey | None = None
    dry_run: bool = False
    ignored: tuple[str, ...] = ()
    note: AuditNote | None = None

    def command_id(self) -> UUID:
        """The id of the command, which its events name as their cause: of the same key, it is the same id."""
        return uuid7() if self.key is None else uuid5(COMMANDS, f"{self.key.scope}\n{self.key.key}")


COMMANDS = UUID("6f72642d-636d-5375-8000-000000000001")
"""The namespace of the ids of commands that have an idempotency key."""

IGNORED = "ignored"
"""The field of an answer that lists the fields of the command that were ignored."""


class Outcome(msgspec.Struct, frozen=True):
    """The answer to a command. `replayed`: it was stored for an earlier command with the same idempotency key.

    `preview` is set for a dry run, which records nothing: the events that a real run would have recorded.
    """

    answer: Answer
    replayed: bool = False
    preview: Sequence[Recorded] | None = None


# --- the loop: the same for every command -------------------------------------------------------------------
class Decision(msgspec.Struct, frozen=True):
    """What to append, and the answer if that succeeds. `own` is the entry of the command's own stream."""

    answer: Answer
    own: Entry
    others: Sequence[Entry] = ()
    sagas: Sequence[SagaRow] = ()


class CommandOnStream(Protocol):
    """A command and its stream. `run_command` calls `load` and `decide` again after each conflict."""

    @property
    def stream(self) -> StreamId: ...
    @property
    def category(self) -> str: ...
    @property
    def now(self) -> datetime: ...

    async def load(self) -> int:
        """Read everything that the decision depends on. Returns the version of the command's own stream."""
        ...

    def decide(self) -> Decision:
        """Decide on what `load` has read. Raises Rejected and its subclasses."""
        ...


async def run_command(store: EventStore, command: CommandOnStream, terms: Terms) -> Outcome:
    """Run one command until it is recorded, refused, or answered with the answer that is stored under its key.

    Raises Rejected and its subclasses, PreconditionFailed, VersionConflict, SagaTaken, KeyReused, Unavailable and
    UnknownEvent.
    """
    give_up, pause, key = time.monotonic() + KEEP_TRYING, PAUSE, terms.key
    while True:
        version = await command.load()
        if terms.expected is not None and terms.expected != version:
            return await _first_answer(store, terms, PreconditionFailed(terms.expected, version))
        try:
            decision = command.decide()
        except NotAllowed as refusal:
            if key is None or terms.dry_run:
                raise
            fields: dict[str, Any] = {"code": refusal.code, "detail": str(refusal)}
            own = Entry(command.stream, command.category, version)
            decision = Decision(Answer(Result.REJECTED, command.stream, None, None, fields), own)
        answer = _naming_ignored(decision.answer, terms)
        if terms.dry_run:
            return Outcome(answer, preview=_preview(decision, command.now))
        if key is None and not decision.own.events:
            return Outcome(answer)
        note = terms.note if decision.own.events else None  # what records nothing is noted with its answer
        append = Append(
            [*decision.others, decision.own],
            sagas=decision.sagas,
            key=KeptAnswer(key.scope, key.key, key.fingerprint, answer) if key else None,
            audit=note.entry(target=str(command.stream)) if note else None,
        )
        match await store.append(append):
            case Accepted(position):
                if note is not None:
                    note.kept = True
                return Outcome(_with_position(answer, position))
            case Replay() as first:
                return _replayed(terms, first)
            case Conflict(actual):
                if time.monotonic() > give_up:
                    raise _conflict(append, actual)
            case LeaseLost():
                if time.monotonic() > give_up:
                    raise SagaTaken(command.stream, await command.load())
        await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - jitter
        pause = min(2 * pause, 0.2)


def _naming_ignored(answer: Answer, terms: Terms) -> Answer:
    if not terms.ignored:
        return answer
    fields = {**answer.fields, IGNORED: list(terms.ignored)}
    return Answer(answer.result, answer.stream, answer.version, answer.position, fields)


def _with_position(answer: Answer, position: int) -> Answer:
    """The answer with the position of the last recorded event. It stays as it is when no event was recorded (0)."""
    return Answer(answer.result, answer.stream, answer.version, position or answer.position, answer.fields)


async def _first_answer(store: EventStore, terms: Terms, error: PreconditionFailed) -> Outcome:
    """The stored answer of a command that was sent before; otherwise raises `error`.

    A repeated command names the version before its first run, which has changed it, so it would always fail.
    """
    known = await answered_before(store, terms)
    if known is None:
        raise error
    return known


async def answered_before(store: EventStore, terms: Terms) -> Outcome | None:
    """The answer that is stored under the command's key. Raises KeyReused if it is that of another command."""
    known = await store.answered(terms.key.scope, terms.key.key) if terms.key and not terms.dry_run else None
    return None if known is None else _replayed(terms, known)


def _replayed(terms: Terms, replay: Replay) -> Outcome:
    key = terms.key
    if key is not None and replay.fingerprint != key.fingerprint and replay.fingerprint != key.former():
        raise KeyReused(key.key)
    return Outcome(replay.answer, replayed=True)


def _conflict(append: Append, actual: Sequence[int]) -> VersionConflict:
    """The error that names the first stream whose version is not the one that the decision was based on."""
    entry, version = next(pair for pair in zip(append.entries, actual, strict=True) if pair[0].expected != pair[1])
    return VersionConflict(entry.stream, entry.expected, version)


def _preview(decision: Decision, now: datetime) -> list[Recorded]:
    """The events of every stream that the append would add to, those of the command's own stream first."""
    return [
        Recorded(
            position=0,
            stream=entry.stream,
            category=entry.category,
            version=entry.expected + n,
            event_id=new.event_id,
            event=new.event,
            metadata=new.metadata,
            recorded_at=now,
        )
        for entry in (decision.own, *decision.others)
        for n, new in enumerate(entry.events, 1)
    ]


# --- commands that a decider decides ------------------------------------------------------------------------
Describe = Callable[[S], tuple[Result, Mapping[str, Any]]]
"""Takes the state after the command. Returns the result and the fields of the answer."""

ReadGuards = Callable[[], Awaitable[Sequence[Entry]]]
"""Reads the other streams that the decision depends on, as entries that guard their versions."""


async def execute(
    store: EventStore,
    decider: Decider[C, E, S],
    stream: StreamId,
    command: C,
    terms: Terms,
    describe: Describe[S],
    *,
    correlation_id: UUID,
    new: bool = False,
    cache: StateCache[S] | None = None,
    read_guards: ReadGuards | None = None,
) -> Outcome:
    """Run one command of a decider. `new`: the stream's id is new, so the stream has no events and is not loaded.

    Raises what `run_command` raises.
    """
    metadata = Metadata(
        correlation_id=correlation_id,
        causation_id=terms.command_id(),
        user_id=terms.user_id,
        request_id=terms.request_id,
        traceparent=kept_traceparent(),
    )
    empty: Loaded[S] = Loaded(decider.initial, 0, 0)
    command_on_stream = _ByDecider(store, decider, stream, command, describe, metadata, new, cache, read_guards, empty)
    return await run_command(store, command_on_stream, terms)


@dataclass(slots=True)
class _ByDecider(Generic[C, E, S]):
    """A command that a decider decides on the state of its stream."""

    store: EventStore
    decider: Decider[C, E, S]
    stream: StreamId
    command: C
    describe: Describe[S]
    metadata: Metadata
    new: bool
    cache: StateCache[S] | None
    read_guards: ReadGuards | None
    loaded: Loaded[S]
    guards: Sequence[Entry] = ()

    @property
    def category(self) -> str:
        return self.decider.category

    @property
    def now(self) -> datetime:
        return self.command.now

    async def load(self) -> int:
        if self.cache is not None:
            self.loaded = await self.cache.latest(self.stream)
        elif not self.new:
            self.loaded = await load_state(self.store, self.decider, self.stream, self.loaded)
        if self.read_guards is not None:
            self.guards = await self.read_guards()
        return self.loaded.version

    def decide(self) -> Decision:
        loaded = self.loaded
        events = self.decider.decide(self.command, loaded.state)
        result, fields = self.describe(self.decider.fold(events, loaded.state))
        answer = Answer(result, self.stream, loaded.version + len(events), loaded.position, fields)
        recorded = [NewEvent(uuid7(), event, self.metadata) for event in events]
        return Decision(answer, Entry(self.stream, self.category, loaded.version, recorded), self.guards)
