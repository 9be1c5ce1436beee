"""Passage: what an event does to the status of its aggregate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

S_co = TypeVar("S_co", bound=StrEnum, covariant=True)


@dataclass(frozen=True, slots=True)
class Passage(Generic[S_co]):
    """The statuses that an event may follow, and the one it leads to; None: the status stays as it is."""

    after: tuple[S_co, ...]
    to: S_co | None
