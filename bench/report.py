"""The report of a bench: rows with figures and ratios, printed as a table and written as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One line: what was measured, its figures, the ratio to a peer, what was to be reached, and whether it was."""

    what: str
    figures: str
    ratio: float | None = None
    reach: str = ""
    met: bool | None = None
    data: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Measured:
    """A part that was measured: its length, in the unit of the option that sets it, and the seconds that it took."""

    part: str
    length: float
    seconds: float
    rows: list[Row]


def table(measured: Sequence[Measured]) -> str:
    lines = [("", "measured", "ratio", "reach", "")]
    for each in measured:
        lines += [(f"{each.part}, in {each.seconds:.0f} s", "", "", "", ""), *_lines(each.rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(5)]
    rule = "-" * (sum(widths) + 8)
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([text[0], rule, *text[1:]])


def _lines(rows: Sequence[Row]) -> list[tuple[str, str, str, str, str]]:
    return [
        (
            f"  {row.what}",
            row.figures,
            "" if row.ratio is None else f"{row.ratio:.2f}x",
            row.reach,
            "" if row.met is None else "yes" if row.met else "SHORT",
        )
        for row in rows
    ]


def write_json(measured: Sequence[Measured], environment: Mapping[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [asdict(each) for each in measured]
    document = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **environment, "parts": parts}
    path.write_text(json.dumps(document, indent=2, default=str) + "\n")
