"""QuarterHour: one value a second of the last 15 minutes; a second that nobody measured is a gap, and no zero."""

from __future__ import annotations

from collections.abc import Sequence

SECONDS = 900
BLOCKS = "▁▂▃▄▅▆▇█"
GAP = " "


class QuarterHour:
    """`until` is the second, of Unix time, of the last value."""

    def __init__(self) -> None:
        self.values: list[float | None] = [None] * SECONDS
        self.until = 0

    def take(self, until: int, values: Sequence[float | None]) -> None:
        """Add the values that end at the second `until`; what was known before and is not told again stays."""
        passed = until - self.until
        if not 0 <= passed < SECONDS:  # the first values, or a clock that was set
            self.values = [None] * SECONDS
        elif passed:
            self.values = self.values[passed:] + [None] * passed
        self.until = until
        told = values[-SECONDS:]
        for place, value in enumerate(told, SECONDS - len(told)):
            if value is not None:
                self.values[place] = value

    def latest(self, seconds: int) -> list[float]:
        """The known values of the last seconds."""
        return [value for value in self.values[-seconds:] if value is not None]

    @property
    def known(self) -> bool:
        return any(value is not None for value in self.values)


def spark(values: Sequence[float | None], width: int, *, full: float = 0.0) -> str:
    """A line of so many bars, each the highest value of its stretch of time, in eighths of the highest or of `full`."""
    width = max(1, width)
    values = [*[None] * (width - len(values)), *values]
    stretches = [values[len(values) * n // width : len(values) * (n + 1) // width] for n in range(width)]
    peaks = [max((value for value in stretch if value is not None), default=None) for stretch in stretches]
    highest = max((peak for peak in peaks if peak is not None), default=0.0)
    highest = max(highest, full)
    return "".join(GAP if peak is None else _bar(peak, highest) for peak in peaks)


def _bar(value: float, highest: float) -> str:
    if value <= 0 or highest <= 0:
        return BLOCKS[0]
    return BLOCKS[min(len(BLOCKS) - 1, max(1, round(value / highest * (len(BLOCKS) - 1))))]
