"""One thing that happens to a running orderdeck at a time that its plan says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Strike:
    """`at` and `seconds` in seconds; `how` is one of several ways to do it."""

    at: float
    kind: str
    target: str = ""
    how: str = ""
    seconds: float = 0.0
