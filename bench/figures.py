"""The figures of a part by their names, each with whether more of it is better; what only tells of the load is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import msgspec

MORE_IS_BETTER = {"rate", "rates", "confirmed_per_s", "alone", "beside", "of_by_id"}
LESS_IS_BETTER = {
    "ms", "us", "s", "mb", "cpu", "bytes", "seconds", "memory", "p50", "p99", "most", "lost", "at", "after",
    "transactions", "first", "reached", "share",
}  # fmt: skip
OF_THE_DECK = {"rate", "orders"}  # here bytes to the terminal, and CPU until the first orders are there: less is better


class Row(msgspec.Struct):
    """A row of a recorded part, also of one that another release has recorded."""

    what: str
    data: dict[str, Any] = {}
    ratio: float | None = None
    reach: str = ""


@dataclass(frozen=True)
class Figure:
    value: float
    more_is_better: bool


def figures(part: str, rows: Sequence[Row]) -> dict[str, Figure]:
    """All figures above 0 of a part. Of several samples it is the median."""
    found: dict[str, Figure] = {}
    for row in rows:
        what = row.what.strip()
        if row.ratio is not None and row.reach.startswith((">", "<")):
            found[what] = Figure(row.ratio, row.reach.startswith(">"))
        for names, value in _numbers(row.data):
            if (better := _more_is_better(part, names)) is not None:
                found[f"{what}: {' '.join(names)}"] = Figure(value, better)
    return {name: figure for name, figure in found.items() if 0 < figure.value < float("inf")}


def _numbers(data: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    for name, value in data.items():
        names = (*above, name)
        if isinstance(value, dict):
            yield from _numbers(value, names)
        elif samples := _samples(value):
            yield names, median(samples)


def _samples(value: object) -> list[float]:
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, int | float) and not isinstance(each, bool)]


def _more_is_better(part: str, names: Sequence[str]) -> bool | None:
    if part == "deck" and OF_THE_DECK & set(names):
        return False
    if MORE_IS_BETTER & set(names):
        return True
    words = {word for name in names for word in name.split("_")}
    return False if LESS_IS_BETTER & words else None
