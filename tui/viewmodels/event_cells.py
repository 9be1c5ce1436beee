"""How one event looks as a row of the stream, and what stands in a row where events are missing."""

from __future__ import annotations

from collections.abc import Sequence

from core.printable import clean
from core.terminal_text import counted
from tui.viewmodels.event_list import Edge, EventList
from tui.viewmodels.event_row import EventRow
from tui.viewmodels.event_window import Gap
from tui.viewmodels.text import Cell, clock_time
from tui.viewmodels.timeline import glyph_of, tone_of

WIDE = 150  # cells of a table that has room for the order's number beside the stream


def event_cells(row: EventRow, number: str, *, wide: bool) -> Sequence[Cell]:
    """POSITION, TIME, TYPE, ORDER, STREAM, V, BY, SUMMARY; `number` is that of the event's order, if it is known.

    Where ORDER has no room, the number stands in STREAM in place of the stream's id.
    """
    if row.at is None:
        return (Cell(f"{row.position:,}", "dim"), Cell(""), Cell("✖ unreadable event", "bad"))
    tone = tone_of(row.event_type, row.category)
    return (
        Cell(f"{row.position:,}", "dim"),
        Cell(clock_time(row.at), "dim"),
        Cell(f"{glyph_of(row.event_type, row.category)} {clean(row.event_type)}", tone),
        Cell(clean(number), "dim"),
        Cell(stream_name(row) if wide or not number else clean(f"{number} {row.category}"), "dim"),
        Cell(str(row.version), "dim"),
        Cell(clean(row.by), "dim"),
        Cell(row.says, tone if tone == "dim" else ""),
    )


def failure_cells(row: EventRow, number: str) -> Sequence[Cell]:
    if row.at is None:
        return (Cell(f"#{row.position:,}", "dim"), Cell(f"✖ {clean(row.event_type)}", "bad"))
    return (
        Cell(f"{row.at:%m-%d} {clock_time(row.at)}", "dim"),
        Cell(f"✖ {clean(row.event_type)}", "bad"),
        Cell(clean(number) or stream_name(row), "dim"),
        Cell(row.says, "bad"),
    )


def stream_name(row: EventRow) -> str:
    return f"{clean(row.category)}-{clean(row.stream_id)[-12:]}"


def between_cells(row: Gap | Edge | None, rows: EventList, newer: str, older: str) -> list[Cell]:
    """A sentence across the row where events are missing, or where the list ends for now; empty for no row.

    `newer` and `older` name what lies beyond the ends of the list.
    """
    if isinstance(row, Gap):
        missing = f"{counted(row.before - row.after - 1, 'event')} never came in, since the deck was too slow"
        return [Cell(f"┄ {missing}: enter reads them from the log ┄", "warn")]
    if row is None:
        return []
    beyond, key = (older, "up") if row is rows.older else (newer, "down")
    if row.reading:
        return [Cell(f"… reading {beyond} from the log", "dim")]
    if row.error:
        return [Cell(f"✖ {clean(row.error)}", "bad"), Cell("   ctrl+r reads again", "dim")]
    if row.searched:
        return [
            Cell(f" ┄ none fits among {counted(row.searched, 'event')} looked through: {key} looks further ┄", "warn")
        ]
    return [Cell(f"┄ {beyond}: {key} reads them ┄", "dim")]
