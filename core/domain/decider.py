"""Decider: the whole of an aggregate's behaviour as three pure values: decide, evolve, initial.

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
    """How a state is kept: `stored` is a struct without defaults, so that nothing but a whole state is read as one.

    Raise `revision` whenever `evolve`, or anything it works with, may fold the same events into another state: a
    snapshot of another revision is not believed. A test says when it must be raised.
    """

    stored: type[D]
    save: Callable[[S], D]
    restore: Callable[[D], S]
    revision: int = 1


@dataclass(frozen=True)
class Decider(Generic[C, E, S]):
    """`decide` returns the events to record (none: already done) or raises Rejected; `evolve` never refuses.

    `snapshot` is for streams that grow long; the others are always folded from their first event.
    """

    category: str
    initial: S
    decide: Callable[[C, S], Sequence[E]]
    evolve: Callable[[S, E], S]
    snapshot: SnapshotForm[S, Any] | None = None

    def fold(self, events: Iterable[E], state: S | None = None) -> S:
        return reduce(self.evolve, events, self.initial if state is None else state)
