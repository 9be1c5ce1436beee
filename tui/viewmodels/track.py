"""The track: all events of a timeline on one line, as many around the chosen one as there is room for."""

from __future__ import annotations

from rich.cells import cell_len

from tui.viewmodels.text import Cell
from tui.viewmodels.timeline import Timeline, glyph_of, tone_of


def track(timeline: Timeline, width: int) -> list[Cell]:
    """A glyph for each event, its letter if it is marked, a short dotted line for a long gap, ◉ for the chosen one."""
    rows, at = len(timeline.rows), timeline.row
    if not rows:
        return []
    before, after = [_step(timeline, at)], list[list[Cell]]()
    room = width - 2 - _width(before[0])
    low = high = at
    while room > 0 and (low > 0 or high < rows - 1):
        grow_high = high < rows - 1 and (high - at <= at - low or low == 0)
        step = _step(timeline, high + 1 if grow_high else low - 1)
        room -= _width(step)
        if room < 0:
            break
        if grow_high:
            high += 1
            after.append(step)
        else:
            low -= 1
            before.append(step)
    shown = [cell for step in [*reversed(before), *after] for cell in step]
    start = [Cell("‹", "dim")] if low > 0 else []
    return [*start, *shown, Cell("›" if high < rows - 1 else "┤", "dim")]


def _step(timeline: Timeline, row: int) -> list[Cell]:
    """One event, and the line that leads to it."""
    index = timeline.rows[row]
    event, letter = timeline.events[index], timeline.letter(index)
    gap = timeline.quiet_before(row)
    line = Cell(f"┄{gap}┄", "dim") if gap else Cell("─" if row else "├", "dim")
    named = (event.event_type, event.aggregate_type)
    glyph = Cell("◉", "chosen") if index == timeline.at else Cell(glyph_of(*named), tone_of(*named) or "accent")
    return [line, glyph, *([Cell(letter, "flash")] if letter else [])]


def _width(cells: list[Cell]) -> int:
    return sum(cell_len(cell.text) for cell in cells)
