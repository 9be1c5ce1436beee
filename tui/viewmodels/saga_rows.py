"""A saga in one line of the list, and the tabs above it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.pictures.sentences import next_step, status_look, step_line
from core.pictures.shapes import WireSaga
from core.pictures.tracks import ENDED
from core.printable import clean
from core.terminal_text import money, span
from tui.viewmodels.sagas import ALL, TABS, SagasModel, Tab, WireSagaSummary
from tui.viewmodels.text import Cell, age, money_within

MONEY = 13  # cells
BACKLOG_SHOWN = 1.0  # seconds that the oldest saga has waited for a runner, from which the list says so
BACKLOG_OLD = 10.0  # seconds from which that is a warning


def row_cells(saga: WireSaga, now: datetime, *, changed: bool) -> Sequence[Cell]:
    """Its name, order, steps, what it is at, age, what is next, stock, id, money."""
    glyph, tone = status_look(saga.status)
    words, next_tone = next_step(saga, now)
    held = saga.open.money
    return (
        Cell(f"{glyph} {clean(saga.name, 40)}", tone),
        Cell(clean(saga.order_number or saga.order_id, 40)),
        Cell(step_line(saga.steps), "flash" if changed else tone),
        Cell(happening(saga), "dim" if saga.status in ENDED and not saga.open.items else ""),
        Cell("" if saga.started_at is None else age(saga.started_at, now), "dim"),
        Cell(words.removeprefix("try "), next_tone),
        Cell(", ".join(f"{one.quantity:,} × {clean(one.sku, 40)}" for one in saga.open.stock[:3]), "warn"),
        Cell(saga.saga_id, "dim"),
        Cell(money_within(MONEY, held.amount, held.currency) if held is not None else "", "warn"),
    )


def happening(saga: WireSaga) -> str:
    """What the saga is at, and why it is in trouble if it is."""
    if saga.status in ENDED:
        return clean("; ".join(saga.open.items) or saga.status.lower())
    tries = f" try {saga.attempts + 1:,}" if saga.attempts and saga.status != "FAILED" else ""
    at = f"{saga.step or saga.status.lower()}{tries}"
    return clean(f"{at}: {saga.last_error}" if saga.last_error else at)


def why_cells(saga: WireSaga | None) -> Sequence[Cell]:
    """What the chosen saga is at in full, since its row is cut where the terminal is narrow."""
    if saga is None:
        return ()
    tone = "bad" if saga.status == "FAILED" else ("warn" if saga.last_error else "dim")
    items = "; ".join(clean(item) for item in saga.open.items)
    why = Cell(f" {clean(saga.name, 40)} {happening(saga)}", tone)
    return (why, Cell(f"  ! {items}", "warn")) if items and saga.status not in ENDED else (why,)


def summary_cells(summary: WireSagaSummary | None) -> Sequence[Cell]:
    """The money of all sagas that are not settled, and what waits for a runner, if that has waited for a second."""
    if summary is None:
        return ()
    cells: list[Cell] = []
    if amounts := " + ".join(money(amount, currency) for currency, amount in summary.money_open.items() if amount):
        cells += [Cell("   money open ", "dim"), Cell(amounts, "warn")]
    backlog = summary.backlog
    if backlog.waiting and backlog.waits_for >= BACKLOG_SHOWN:
        tone = "warn" if backlog.waits_for >= BACKLOG_OLD else ""
        words = f"{backlog.waiting:,}, the oldest for {span(backlog.waits_for)}"
        cells += [Cell("   wait for a runner ", "dim"), Cell(words, tone)]
    return cells


def tab_cells(model: SagasModel, width: int) -> list[tuple[int, Cell]]:
    """The tabs with how many sagas each has, and which tab a cell belongs to; those that fit around the chosen one."""
    chosen = ALL if model.tab is None else model.tab
    shown = [chosen]
    used = len(_label(model, TABS[chosen]))
    for n in sorted((n for n in range(len(TABS)) if n != chosen), key=lambda n: (n != ALL, n)):
        used += len(_label(model, TABS[n]))
        if used <= width:
            shown.append(n)
    return [(n, _tab(model, n, chosen=n == chosen)) for n in sorted(shown)]


def _tab(model: SagasModel, n: int, *, chosen: bool) -> Cell:
    tab, count = TABS[n], model.count_of(TABS[n])
    tone = "dim" if not count else tab.tone
    return Cell(_label(model, tab), "cursor" if chosen else tone)


def _label(model: SagasModel, tab: Tab) -> str:
    count = model.count_of(tab)
    return f" {tab.label} " if count is None else f" {tab.label} {count:,} "
