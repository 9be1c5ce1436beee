"""The lines above and below the stream: what came in and what became of it, what waits, and what is wrong."""

from __future__ import annotations

from core.printable import clean
from core.terminal_text import counted
from tui.viewmodels.stream import StreamModel
from tui.viewmodels.text import Cell


def counter_cells(stream: StreamModel) -> tuple[list[Cell], list[Cell]]:
    """The left and the right part of the line; viewmodels/tally.py says what the words mean."""
    tally, ring = stream.tally, stream.ring
    mode = Cell(" ● FOLLOW ", "good") if stream.following else Cell(" ⏸ PAUSED ", "flash")
    parts = f"shown {tally.shown:,} + skipped {tally.skipped:,} + waiting {tally.waiting:,}"
    text = f"  received {tally.received:,} = {parts}"
    kept = f"ring {len(ring):,} ({ring.bytes / 1024 / 1024:.1f} MB) "
    # The narrowest terminal has room for numbers of any length only without their commas.
    return [mode, Cell(text if len(text) < 70 else text.replace(",", ""))], [Cell(kept, "dim")]


def waiting_cells(stream: StreamModel, wrong: str) -> list[Cell]:
    """`wrong` is what is wrong with what the operator typed."""
    if wrong:
        return [Cell(f" ✖ {clean(wrong)}", "bad")]
    if stream.following:
        return []
    return [Cell(f" ⏸ {stream.tally.waiting:,} waiting (space follows again)", "accent")]


def trouble_cells(stream: StreamModel, lost: int, malformed: int) -> list[Cell]:
    """`lost` events never came in, `malformed` frames were none; both are told, and never come back by themselves."""
    hidden = f"{len(stream.hidden)} of {len(stream.types)} types hidden (f)  " if stream.hidden else ""
    bad = malformed + stream.undecodable
    failures = f"{counted(stream.failed, 'failure')}  " if stream.failed else ""
    return [
        Cell(hidden, "warn"),
        Cell(f"unreadable {bad:,}  " if bad else "", "bad"),
        Cell(failures, "bad"),
        Cell(f"lost {lost:,} ", "bad" if lost else "dim"),
    ]
