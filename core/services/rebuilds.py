"""Rebuilds: an operator has read models made anew, gives that up, or goes back to those of before.

The act is recorded with who and why. Then a projector does it; while none runs, that waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from uuid_utils.compat import uuid7

from core.domain.message import Metadata, StreamId, reader_stream
from core.domain.reader import (
    CATEGORY,
    OldReadModelsDropped,
    ReaderEvent,
    RebuildCancelled,
    RebuildStarted,
    RebuildSwitchedBack,
)
from core.errors import NotAllowed, NotFound
from core.ports.clock import Clock
from core.ports.generations import UNFINISHED, Generation, Generations, NewGeneration
from core.ports.log import Answer, Entry, EventStore, NewEvent, Result
from core.projections import GROUPS
from core.projections.projection import Group
from core.sagas.wishes import checked_reason
from core.services.execute import Decision, Outcome, Terms, run_command
from core.tracing import kept_traceparent

LISTED = 100  # generations


class RebuildWish(StrEnum):
    START = "start"
    CANCEL = "cancel"
    SWITCH_BACK = "switch-back"
    DROP_OLD = "drop-old"


RECORDED_AS: Mapping[RebuildWish, type[ReaderEvent]] = {
    RebuildWish.START: RebuildStarted,
    RebuildWish.CANCEL: RebuildCancelled,
    RebuildWish.SWITCH_BACK: RebuildSwitchedBack,
    RebuildWish.DROP_OLD: OldReadModelsDropped,
}


@dataclass(frozen=True)
class RebuildDesk:
    """What the acts need."""

    store: EventStore
    generations: Generations
    clock: Clock


async def act_on_group(
    desk: RebuildDesk,
    name: str,
    wish: RebuildWish,
    reason: str,
    terms: Terms,
    *,
    max_rate: int | None = None,
    check_all: bool = False,
) -> Outcome:
    """Record the act and ask for it. Raises InvalidInput, NotFound, NotAllowed, and what `run_command` raises."""
    if reason:
        checked_reason(reason)
    group = next((one for one in GROUPS if one.name == name), None)
    if group is None:
        raise NotFound("group of read models", name)
    act = _OnGroup(desk, group, wish, reason, terms, desk.clock.now(), max_rate, check_all)
    outcome = await run_command(desk.store, act, terms)
    if outcome.preview is not None or outcome.answer.result is Result.REJECTED:
        return outcome
    generations = desk.generations
    if wish is RebuildWish.START:
        wanted = NewGeneration(
            purpose="rebuild",
            requested_by=terms.user_id or "anonymous",
            max_rate=max_rate,
            check_all=check_all,
            command_id=terms.command_id() if terms.key is not None else None,
        )
        await generations.request(group, wanted)
    elif not outcome.replayed:  # the state of before has been looked at already
        acts = {
            RebuildWish.CANCEL: generations.cancel,
            RebuildWish.SWITCH_BACK: generations.switch_back,
            RebuildWish.DROP_OLD: generations.forget_kept,
        }
        await acts[wish](group.reader)
    return outcome


@dataclass(slots=True)
class _OnGroup:
    """An act as a command on the stream of the group's reader."""

    desk: RebuildDesk
    group: Group[Any]
    wish: RebuildWish
    reason: str
    terms: Terms
    now: datetime
    max_rate: int | None
    check_all: bool
    version: int = 0
    position: int = 0
    known: tuple[Generation, ...] = ()

    @property
    def stream(self) -> StreamId:
        return reader_stream(self.group.reader)

    @property
    def category(self) -> str:
        return CATEGORY

    async def load(self) -> int:
        newest = await self.desk.generations.newest(limit=LISTED)
        self.known = tuple(one for one in newest if one.reader == self.group.reader and one.purpose == "rebuild")
        acts = await self.desk.store.load(self.stream)
        if acts:
            self.version, self.position = acts[-1].version, acts[-1].position
        return self.version

    def decide(self) -> Decision:
        name = self.group.name
        running = next((one for one in self.known if one.state in UNFINISHED), None)
        under_way = running is not None
        kept = any(one.state == "kept" for one in self.known)
        if self.wish is RebuildWish.CANCEL and not under_way:
            raise NotAllowed(f"no rebuild of {name} is under way")
        if self.wish in (RebuildWish.SWITCH_BACK, RebuildWish.DROP_OLD) and not kept:
            raise NotAllowed(f"no older read models of {name} are kept")
        if self.wish is RebuildWish.SWITCH_BACK and under_way:
            raise NotAllowed(f"a rebuild of {name} is under way: cancel it first")
        if self.wish is RebuildWish.START and running is not None and self._wants_otherwise(running):
            raise NotAllowed(
                f"a rebuild of {name} is under way, and its rate and check stay as they are: cancel it first"
            )
        started_before = self.wish is RebuildWish.START and under_way and self.version > 0
        act = RECORDED_AS[self.wish](reader=self.group.reader, by=self.terms.user_id or "anonymous", reason=self.reason)
        metadata = Metadata(
            correlation_id=self.stream,
            causation_id=self.terms.command_id(),
            user_id=self.terms.user_id,
            request_id=self.terms.request_id,
            traceparent=kept_traceparent(),
        )
        events = [] if started_before else [NewEvent(uuid7(), act, metadata)]
        answer = Answer(
            Result.DONE,
            self.stream,
            self.version + len(events),
            self.position,
            {"group": name, "wish": self.wish.value},
        )
        return Decision(answer, Entry(self.stream, CATEGORY, self.version, events))

    def _wants_otherwise(self, running: Generation) -> bool:
        """Whether another rate or a fuller check is asked for than that of the rebuild under way."""
        return self.max_rate not in (None, running.max_rate) or (self.check_all and not running.check_all)
