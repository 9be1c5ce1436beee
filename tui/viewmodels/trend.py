"""Trend: whether a figure of late grows, shrinks, or stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Direction = Literal["up", "down", "level"]

ARROWS: dict[Direction, str] = {"up": "↗", "down": "↘", "level": "→"}
LAGGING: dict[Direction, str] = {"up": "↗ falling behind", "down": "↘ catching up", "level": ""}
"""What a trend of a lag means."""

_LOOKED_AT = 10  # values
_NOISE = 0.2  # of the larger value; less is no change


def trend(values: Sequence[float | None], *, least: float = 0.0) -> Direction:
    """The direction of the last values, of those that are known; a change of less than `least` counts as none."""
    known = [value for value in values[-_LOOKED_AT:] if value is not None]
    if len(known) < 3:
        return "level"
    third = max(1, len(known) // 3)
    before, after = sum(known[:third]) / third, sum(known[-third:]) / third
    change = after - before
    if abs(change) <= max(least, _NOISE * max(abs(before), abs(after))):
        return "level"
    return "up" if change > 0 else "down"
