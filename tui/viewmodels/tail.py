"""Tail: the end of a daemon's log as lines to read, followed or stopped, and searched; it holds a bounded part."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from core.printable import clean
from tui.daemons import LogPart
from tui.viewmodels.text import Cell

MOST_LINES = 4_000
MOST_CHARACTERS = 2_000_000  # of all lines together
LONGEST_PIECE = 64 * 1024  # characters of a line that has no end yet
MOST_OF_A_FAULT = 60  # lines of a traceback
TONES = {"error": "bad", "critical": "bad", "warning": "warn", "debug": "dim"}


class Tail:
    """`name` and `errors` say of which log it is; the numbers of its lines go on although old lines make room."""

    def __init__(self, name: str, *, errors: bool = False) -> None:
        self.name = name
        self.errors = errors
        self.end: int | None = None
        self.first = 0
        self.following = True
        self.search = ""
        self.hits = 0
        self.problem = ""
        self._lines: deque[Cell] = deque()
        self._characters = 0
        self._piece = ""

    @property
    def last(self) -> int:
        """The number after that of the last line."""
        return self.first + len(self._lines)

    def line(self, number: int) -> Cell | None:
        return self._lines[number - self.first] if self.first <= number < self.last else None

    def take(self, part: LogPart) -> None:
        """Add what was logged since; say where something is missing."""
        self.problem = ""
        self.end = part.end
        if part.anew:
            self._end_piece()
            self._add(Cell("┄ the log was begun anew ┄", "dim"))
        if part.skipped:
            self._end_piece()
            self._add(Cell(f"┄ {part.skipped:,} bytes left out ┄", "dim"))
        *whole, self._piece = (self._piece + part.text).split("\n")
        for text in whole:
            for cell in shown_line(text.rstrip("\r")):
                self._add(cell)
        if len(self._piece) > LONGEST_PIECE:
            self._end_piece()

    def _end_piece(self) -> None:
        if self._piece:
            for cell in shown_line(self._piece):
                self._add(cell)
        self._piece = ""

    def _add(self, cell: Cell) -> None:
        self._lines.append(cell)
        self._characters += len(cell.text)
        self.hits += self.matches(cell)
        while len(self._lines) > MOST_LINES or self._characters > MOST_CHARACTERS:
            gone = self._lines.popleft()
            self.first += 1
            self._characters -= len(gone.text)
            self.hits -= self.matches(gone)

    # --- searching ----------------------------------------------------------------------------------------------------
    def look_for(self, text: str) -> None:
        self.search = text.casefold()
        self.hits = sum(map(self.matches, self._lines))

    def matches(self, cell: Cell) -> bool:
        return bool(self.search) and self.search in cell.text.casefold()

    def hit(self, start: int, step: int) -> int | None:
        """The number of the next line that matches, from the line `start` on, which is left out; at the end, round."""
        count = len(self._lines)
        for n in range(1, count + 1):
            number = self.first + (start - self.first + n * step) % count
            cell = self.line(number)
            if cell is not None and self.matches(cell):
                return number
        return None


def shown_line(text: str) -> list[Cell]:
    """A line of a log as a person reads it; one that daemons wrote as JSON gets its time and level in front."""
    fields = _fields(text)
    if fields is None:
        return [Cell(clean(text), "bad" if text.startswith(("Traceback", "Error")) else "")]
    level, event = str(fields.pop("level", "")), str(fields.pop("event", ""))
    when = str(fields.pop("timestamp", ""))[11:23]
    fault = str(fields.pop("exception", ""))
    fields.pop("daemon", None)
    rest = " ".join(f"{name}={value}" for name, value in fields.items())
    tone = TONES.get(level, "")
    lines = [Cell(clean(f"{when:<12} {level:<7} {event}  {rest}".rstrip()), tone)]
    return lines + [Cell(f"  {clean(each)}", "dim") for each in fault.split("\n")[-MOST_OF_A_FAULT:] if each.strip()]


def _fields(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        fields = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return fields if "event" in fields else None
