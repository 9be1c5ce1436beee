"""Execute: load what the decision reads, decide, append; whoever came first wins, and the loser decides again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from core.domain.decider import Decider
from core.domain.message import Command, Event, Metadata, Recorded, StreamId
from core.errors import KeyReused, NotAllowed, PreconditionFailed, VersionConflict
from core.ports.log import Accepted, Answer, Append, Conflict, Entry, EventStore, Key, LeaseLost, NewEvent, Replay
from core.services.load import Loaded, StateCache, load_state

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)
S = TypeVar("S")

KEEP_TRYING = 2.0  # seconds a command without If-Match decides again after conflicts
PAUSE = 0.005  # seconds before the first new try, doubled each time, with jitter
REFUSED = 400  # the status a kept refusal is answered with


class GivenKey(msgspec.Struct, frozen=True):
    """An idempotency key as the caller gave it."""

    scope: str
    key: str
    fingerprint: bytes


class Terms(msgspec.Struct, frozen=True):
    """The terms on which a caller wants a command executed. `expected` None: at whatever version the stream is."""

    user_id: str | None = None
    request_id: str | None = None
    expected: int | None = None
    key: GivenKey | None = None
    dry_run: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """`would` are the events of a dry run; it recorded nothing."""

    answer: Answer
    replayed: bool = False
    would: Sequence[Recorded] | None = None


Describe = Callable[[S], tuple[int, Mapping[str, Any]]]
"""From the state after the command to the status and the fields of the answer."""

ReadGuards = Callable[[], Awaitable[Sequence[Entry]]]
"""Reads further streams the decision depends on, and may refuse it."""


async def no_guards() -> Sequence[Entry]:
    return ()


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
    read_guards: ReadGuards = no_guards,
) -> Outcome:
    """Execute one command. `new`: the stream was just named and cannot have events, so it is not loaded.

    Raises Rejected and its kind, PreconditionFailed, VersionConflict, KeyReused, Unavailable, UnknownEvent.
    """
    loop = asyncio.get_running_loop()
    give_up, pause = loop.time() + KEEP_TRYING, PAUSE
    metadata = Metadata(correlation_id=correlation_id, user_id=terms.user_id, request_id=terms.request_id)
    loaded: Loaded[S] = Loaded(decider.initial, 0, 0)
    while True:
        if cache is not None:
            loaded = await cache.latest(stream)
        elif not new:
            loaded = await load_state(store, decider, stream, loaded)
        state, version = loaded.state, loaded.version
        if terms.expected is not None and terms.expected != version:
            return await replay_or(store, terms, PreconditionFailed(f'"{terms.expected}"', version))
        try:
            events = decider.decide(command, state)
            guards = await read_guards()
        except NotAllowed as refusal:
            if terms.key is None or terms.dry_run:
                raise
            answer = Answer(REFUSED, stream, None, None, {"code": refusal.code, "detail": str(refusal)})
            events, guards = (), ()
        else:
            status, fields = describe(decider.fold(events, state))
            answer = Answer(status, stream, version + len(events), loaded.position, fields)
        if terms.dry_run:
            return Outcome(answer, would=would(events, decider.category, stream, version, metadata, command.now))
        if not events and terms.key is None:
            return Outcome(answer)
        recorded = [NewEvent(uuid7(), event, metadata) for event in events]
        verdict = await store.append(
            Append([*guards, Entry(stream, decider.category, version, recorded)], key=kept(terms.key, answer))
        )
        match verdict:
            case Accepted(position):
                return Outcome(placed(answer, position))
            case Replay():
                return replayed(terms, verdict)
            case Conflict(actual):
                if loop.time() > give_up:
                    raise VersionConflict(stream, version, actual[-1])
                await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - jitter
                pause = min(2 * pause, 0.2)
            case LeaseLost():
                raise AssertionError("a command names no saga row")


def kept(given: GivenKey | None, answer: Answer) -> Key | None:
    return Key(given.scope, given.key, given.fingerprint, answer) if given else None


def placed(answer: Answer, position: int) -> Answer:
    return Answer(answer.status, answer.stream, answer.version, position or answer.position, answer.fields)


async def replay_or(store: EventStore, terms: Terms, error: PreconditionFailed) -> Outcome:
    """A repeated command meets the version that its first sending made: it gets its answer, not 412."""
    known = await store.answered(terms.key.scope, terms.key.key) if terms.key and not terms.dry_run else None
    if known is None:
        raise error
    return replayed(terms, known)


def replayed(terms: Terms, replay: Replay) -> Outcome:
    if terms.key is not None and terms.key.fingerprint != replay.fingerprint:
        raise KeyReused(terms.key.key)
    return Outcome(replay.answer, replayed=True)


def would(
    events: Sequence[Event], category: str, stream: StreamId, version: int, metadata: Metadata, now: datetime
) -> list[Recorded]:
    return [
        Recorded(
            position=0,
            stream=stream,
            category=category,
            version=version + n,
            event_id=uuid7(),
            event=event,
            metadata=metadata,
            recorded_at=now,
        )
        for n, event in enumerate(events, 1)
    ]
