"""Decider: all that an aggregate does, as two pure functions, `decide` and `evolve`, and its `initial` state.

After Jérémie Chassaing, "Functional Event Sourcing Decider" (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Generic, TypeVar

from core.domain.message import Command, Event

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)
S = TypeVar("S")
D = TypeVar("D")


@dataclass(frozen=True)
class SnapshotForm(Generic[S, D]):
    """How a state is stored as a snapshot. `stored` is a struct without defaults, so half a state cannot be read.

    Raise `revision` whenever `evolve`, or anything that it uses, may fold the same events into another state: snapshots
    of other revisions are ignored. A test says when it must be raised.
    """

    stored: type[D]
    save: Callable[[S], D]
    restore: Callable[[D], S]
    revision: int = 1


@dataclass(frozen=True)
class Decider(Generic[C, E, S]):
    """`decide` returns the events to record, or none if all is done already, or raises Rejected. `evolve` never fails.

    `snapshot` is set for streams that grow long. Other streams are always folded from their first event.
    """

    category: str
    initial: S
    decide: Callable[[C, S], Sequence[E]]
    evolve: Callable[[S, E], S]
    snapshot: SnapshotForm[S, Any] | None = None

    def fold(self, events: Iterable[E], state: S | None = None) -> S:
        return reduce(self.evolve, events, self.initial if state is None else state)
