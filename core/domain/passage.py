"""Passage: what an event does to the status of its aggregate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

S_co = TypeVar("S_co", bound=StrEnum, covariant=True)


@dataclass(frozen=True, slots=True)
class Passage(Generic[S_co]):
    """The statuses that an event may follow, and the one it leads to; None: the status stays as it is.

    `partly`: the status it leads to instead while only a part of the whole amount has gone this way.
    """

    after: tuple[S_co, ...]
    to: S_co | None
    partly: S_co | None = None
