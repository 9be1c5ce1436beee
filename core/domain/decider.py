"""Decider: the whole of an aggregate's behaviour as three pure values: decide, evolve, initial.

After Jérémie Chassaing, "Functional Event Sourcing Decider" (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Generic, TypeVar

from core.domain.message import Command, Event

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)
S = TypeVar("S")


@dataclass(frozen=True)
class Decider(Generic[C, E, S]):
    """`decide` returns the events to record (none: already done) or raises Rejected; `evolve` never refuses."""

    category: str
    initial: S
    decide: Callable[[C, S], Sequence[E]]
    evolve: Callable[[S, E], S]

    def fold(self, events: Iterable[E], state: S | None = None) -> S:
        return reduce(self.evolve, events, self.initial if state is None else state)
