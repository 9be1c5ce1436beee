"""Generations: all tables of a group of read models, filled anew from the log beside those that are read.

The live generation is the one that everybody reads. A `rebuild` is filled to the end of the log, compared with the log,
and put in the place of the live one, which is kept for a while. One `as_of` a position is filled up to there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

from core.errors import OrderdeckError
from core.projections.projection import Group

Purpose = Literal["rebuild", "as_of"]
State = Literal[
    "waiting",
    "building",
    "indexing",
    "checking",
    "switching",
    "ready",
    "live",
    "kept",
    "cancelled",
    "failed",
    "dropped",
]
UNFINISHED: tuple[State, ...] = ("waiting", "building", "indexing", "checking", "switching")
"""The states in which a builder works on a generation, in their order."""


class GenerationGone(OrderdeckError):
    """The generation was dropped, cancelled, or put in the place of the live one."""

    def __init__(self, generation: int) -> None:
        super().__init__(f"generation {generation} is not being filled any more")


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """`reader` is the one of the live tables of its group, `position` how far it is filled, `head` the end of the log.

    `end_position`: it is filled up to here; without it, to the end of the log. `rate` and `max_rate` are events a
    second. `note` says what it waits for, or why it failed.
    """

    id: int
    reader: str
    revision: str
    purpose: Purpose
    state: State
    end_position: int | None
    max_rate: int | None
    check_all: bool
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    keep_until: datetime | None
    rate: float
    note: str
    position: int
    head: int

    @property
    def end(self) -> int:
        """The position up to which it is filled, as far as that is known now."""
        return self.end_position if self.end_position is not None else self.head

    @property
    def unfinished(self) -> bool:
        return self.state in UNFINISHED


class NewGeneration(msgspec.Struct, frozen=True, kw_only=True):
    purpose: Purpose
    requested_by: str
    end_position: int | None = None
    max_rate: int | None = None
    check_all: bool = False
    command_id: UUID | None = None


class Generations(Protocol):
    async def request(self, group: Group[Any], wanted: NewGeneration) -> Generation:
        """Ask for a generation of a group, which a builder then fills.

        Of one group only one rebuild is unfinished at a time: if there is one, it is returned as it is. A command that
        is repeated gets what it has asked for before.
        """
        ...

    async def cancel(self, reader: str) -> bool:
        """Give up the unfinished rebuild of a reader. One that is to be read again is kept as before. False: none."""
        ...

    async def switch_back(self, reader: str) -> bool:
        """Have the newest kept one brought up to date and read again. False: none is kept, or one is unfinished."""
        ...

    async def forget_kept(self, reader: str) -> bool:
        """Have all kept ones of a reader dropped soon. False if there are none."""
        ...

    async def read(self, id_: int) -> Generation | None: ...

    async def newest(self, *, limit: int) -> Sequence[Generation]:
        """The newest generations, of all groups and in all states, newest first."""
        ...

    async def unfinished(self) -> Sequence[Generation]:
        """Those that a builder has to work on, oldest first."""
        ...

    async def make(self, id_: int) -> None:
        """Make its tables, without the indexes that only readers need, and begin to fill it at position 0."""
        ...

    async def share(self, id_: int, shares: int, *, begin: bool = True) -> bool:
        """Whether its rows are divided into shares, each with a reader of its own.

        With `begin`, divide them if nothing was saved yet.
        """
        ...

    async def share_lacks_events(self, id_: int, share: int, upto: int) -> bool:
        """Whether one of its shares is there, and not filled up to this position."""
        ...

    async def join(self, id_: int, upto: int) -> bool:
        """Make its shares a whole again. False if one of them is not filled up to this position."""
        ...

    async def index_ready(self, group: Group[Any]) -> Sequence[int]:
        """Have those ready ones of a group that lack an index which the live tables have got since indexed again."""
        ...

    async def index(self, id_: int) -> None:
        """Make the indexes and statistics that it lacks. It may take minutes."""
        ...

    async def move(self, id_: int, before: State, after: State) -> None:
        """Bring it from one state to the next. Raises GenerationGone when it is in another one.

        Once it is `indexing`, whoever has opened it before can save nothing more.
        """
        ...

    async def tell(self, id_: int, *, rate: float, note: str) -> Generation | None:
        """Save how fast it is filled and what it waits for; returns it as it is now."""
        ...

    async def switch(self, id_: int, *, within: timedelta, keep: timedelta) -> str:
        """Put it in the place of the live one, whose tables are kept for a while.

        Nobody waits longer than `within` for the lock of a table. Returns why it could not be done now; '' once it is
        done. It must be in the state `switching`, and its reader must go on while this runs.
        """
        ...

    async def drop(self, id_: int, becomes: State) -> bool:
        """Drop its tables, if it is not the live one. Whoever fills it can save nothing any more."""
        ...

    async def expired(self) -> Sequence[int]:
        """Those whose time to be kept is over, and those that were given up and still have tables."""
        ...
