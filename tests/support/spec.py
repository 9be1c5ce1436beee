"""Given-when-then: `spec(ORDER).given(created).when(confirm).then(confirmed)`; it sees events only, never a state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from core.domain.decider import Decider
from core.domain.message import Command, Event
from core.errors import Rejected

Outcome = list[Event] | str
Histories = Mapping[Any, Sequence[Event]]
Table = Mapping[Any, Mapping[Any, Outcome]]  # by command, then by status

DONE: list[Event] = []


@dataclass(frozen=True)
class Spec:
    decider: Decider[Any, Any, Any]
    history: Sequence[Event] = ()
    command: Command | None = None

    def given(self, *events: Event) -> Spec:
        return replace(self, history=events)

    def when(self, command: Command) -> Spec:
        return replace(self, command=command)

    def then(self, *events: Event) -> None:
        assert list(self._decided()) == list(events)

    def nothing(self) -> None:
        """It was done already: accepted, and nothing new to record."""
        self.then()

    def rejected(self, sentence: str) -> None:
        with pytest.raises(Rejected) as refusal:
            self._decided()
        assert str(refusal.value) == sentence

    def _decided(self) -> Sequence[Event]:
        assert self.command is not None, "when(command) is missing"
        return self.decider.decide(self.command, self.decider.fold(self.history))


def spec(decider: Decider[Any, Any, Any]) -> Spec:
    return Spec(decider)


def leaves(kind: type) -> set[type]:
    """The classes of our code below a class that have no subclass themselves: every command or event of it."""
    below = [c for c in kind.__subclasses__() if c.__module__.startswith("core.")]
    return set().union(*map(leaves, below)) if below else {kind}
