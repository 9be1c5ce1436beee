"""One thing that needs a person, as a row of the list and as the lines below it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.printable import clean
from core.terminal_text import money, span
from tui.viewmodels.attention import Kind, Trouble
from tui.viewmodels.text import Cell, age, money_within, wrapped

MONEY = 14  # cells
LINES = 6
WHOLE: dict[Kind, str] = {"saga": "saga", "order": "detail", "daemon": "daemons"}
"""The view that enter opens for each kind of thing."""

_LOOKS = {
    "FAILED": ("✖", "bad"),
    "UNPAID": ("✖", "bad"),
    "NO ANSWER": ("✖", "bad"),
    "NOT READY": ("▲", "warn"),
    "DEGRADED": ("▲", "warn"),
    "LAGGING": ("▲", "warn"),
    "OVERDUE": ("▲", "bad"),
    "RETRYING": ("↻", "warn"),
    "EXPIRING": ("◷", "warn"),
}
_KEYS = {"retry": ("r", "retry…"), "advance": ("a", "ship, cancel…"), "open": ("⏎", "open")}
_MORE = {
    "FAILED": "r retry…   S skip…   C compensate…   V resolve…   enter opens the saga",
    "OVERDUE": "r retry now…   V resolve…   enter opens the saga",
    "RETRYING": "it goes on by itself   r retry now…   enter opens the saga",
    "EXPIRING": "a ship or cancel…   enter opens the saga   x the order",
    "UNPAID": "enter opens the order: its saga says what was tried",
    "NO ANSWER": "enter opens the daemons",
    "NOT READY": "enter opens the daemons",
    "DEGRADED": "enter opens the daemons",
    "LAGGING": "enter opens the daemons",
}


def row_cells(trouble: Trouble, now: datetime, *, old: bool) -> Sequence[Cell]:
    glyph, tone = _LOOKS[trouble.state]
    key, label = _KEYS[trouble.action]
    held = trouble.money
    cells = (
        Cell(f"{glyph} {trouble.state}", tone),
        Cell(trouble.what),
        Cell(trouble.why),
        Cell("" if trouble.since is None else age(trouble.since, now), "dim"),
        Cell(next_words(trouble, now), "dim"),
        Cell("" if held is None else money_within(MONEY, held.amount, held.currency), "warn"),
        Cell(key, "accent"),
        Cell(label, "dim"),
    )
    return [Cell(cell.text, "dim") for cell in cells] if old else cells


def next_words(trouble: Trouble, now: datetime) -> str:
    """When something happens by itself, in a word or two."""
    if trouble.next_words == "never":
        return "by hand"
    if trouble.next_at is None:
        return "now" if trouble.next_words == "now" else ""
    left = (trouble.next_at - now).total_seconds()
    if trouble.next_words == "ends":
        return "ended" if left <= 0 else _brief(left)
    return "now" if left < 1 else f"in {_brief(left)}"


def _brief(seconds: float) -> str:
    """A span in one word: `8s`, `3m`, `2h`."""
    return f"{int(seconds)}s" if seconds < 60 else span(seconds).split(" ")[0]


def detail_lines(trouble: Trouble | None, width: int) -> Sequence[Sequence[Cell]]:
    """The chosen one in full, in LINES lines: what, why, what is open, when something happens, which keys help."""
    if trouble is None:
        return []
    glyph, tone = _LOOKS[trouble.state]
    saga = f"  {clean(trouble.saga.name, 30)}" if trouble.saga is not None else ""
    held = trouble.money
    risk = f"  {money(held.amount, held.currency)} at risk" if held is not None else ""
    since = "" if trouble.since is None else f"  since {trouble.since:%m-%d %H:%MZ}"
    why = wrapped(trouble.why, width)[:2]
    items = wrapped("; ".join(trouble.open_items), width - 2)[:2] if trouble.open_items else []
    what = f" {glyph} {trouble.state} {trouble.what}"
    if len(what + saga + risk + since) > width + 1:
        saga = ""  # the amount and the time matter more
    lines = [[Cell(f"{what}{saga}", tone), Cell(risk, "warn"), Cell(since, "dim")]]
    lines += [[Cell(f" {line}")] for line in why]
    lines += [[Cell(f" ! {line}" if n == 0 else f"   {line}", "warn")] for n, line in enumerate(items)]
    return [*lines[: LINES - 1], [Cell(f" {_MORE[trouble.state]}", "accent")]]
