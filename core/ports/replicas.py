"""Replicas: servers that follow the primary, and which of them show enough to be asked instead of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from core.errors import OrderdeckError
from core.ports.queries import Queries


@dataclass
class PositionNotReached(OrderdeckError):
    """A caller wants to see a position of the log that is not visible yet.

    `reached` is how far the read model of the primary has come, `head` where the log ends.
    """

    position: int
    reached: int
    head: int

    def __str__(self) -> str:
        if self.position > self.head:
            return f"the log ends at position {self.head}, so nothing shows position {self.position} yet"
        return f"the read model is at position {self.reached}, not {self.position} yet"


class ReplicaState(NamedTuple):
    """How a replica is: whether it is asked, and how far it is behind the primary; None while that is not known.

    `seconds`: how long ago it had all that the primary then had.
    """

    name: str
    asked: bool
    events: int | None
    seconds: float | None


class Replica(Protocol):
    """One replica."""

    @property
    def name(self) -> str: ...

    @property
    def queries(self) -> Queries: ...

    def shows(self, reader: str, position: int) -> bool:
        """Whether a reader's work up to a position is visible here; the reader LOG stands for the log itself."""
        ...

    def failed(self, error: Exception) -> None:
        """Note that a read failed here, and was done by the primary instead."""
        ...


class Replicas(Protocol):
    """All replicas of the settings."""

    def choose(self, reader: str, position: int) -> Replica | None:
        """A replica that has everything that the primary had a moment ago, and shows this; None when there is none."""
        ...

    def states(self) -> Sequence[ReplicaState]:
        """How each of them is."""
        ...

    def why_degraded(self) -> str | None:
        """What is wrong with the replicas, or with the primary that they stand in for; None when nothing is."""
        ...

    @property
    def primary_away(self) -> float:
        """For how many seconds the primary has not answered; 0 while it answers."""
        ...
