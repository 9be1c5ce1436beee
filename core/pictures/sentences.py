"""Sentences above and below the lanes: who the saga is, what happens next, why it is in trouble, what is still open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import ceil

from rich.cells import cell_len

from core.pictures.axis import brief
from core.pictures.marks import Mark, Row
from core.pictures.shapes import PicturedSaga, WireLane, WireSaga
from core.pictures.tracks import ENDED
from core.printable import clean
from core.terminal_text import money

_LOOKS = {
    "RUNNING": ("◐", "moving"),
    "COMPENSATING": ("◄", "warn"),
    "COMPLETED": ("✔", "good"),
    "COMPENSATED": ("◄", "done"),
    "FAILED": ("✖", "bad"),
    "RESOLVED": ("✔", "done"),
}
_STEP_LOOKS = {
    "PENDING": ("○", "dim"),
    "RUNNING": ("◐", "moving"),
    "COMPLETED": ("●", "good"),
    "FAILED": ("✖", "bad"),
    "COMPENSATING": ("◄", "warn"),
    "COMPENSATED": ("◁", "done"),
    "COMPENSATION_FAILED": ("◄✖", "bad"),
    "SKIPPED": ("»", "warn"),
}
_TO_UNDO = {"PENDING", "RUNNING", "FAILED"}
_TIME = "%Y-%m-%d %H:%M:%S UTC"

Part = tuple[str, str]  # a text and its tone


def status_look(status: str) -> tuple[str, str]:
    """The glyph and the tone of a saga's status."""
    return _LOOKS.get(status, ("?", "warn"))


def step_look(status: str) -> tuple[str, str]:
    """The glyph and the tone of how far a step has come, in the words of the saga's log."""
    return _STEP_LOOKS.get(status, ("?", "warn"))


def step_line(steps: Mapping[str, str]) -> str:
    """All steps of a saga in a few cells: `●─●─✖`, with an arrow back for each that is being undone or is undone."""
    glyphs = [step_look(status)[0] for status in steps.values()]
    return "─".join(glyphs[:8]) + ("…" if len(glyphs) > 8 else "")


def head_rows(saga: PicturedSaga, now: datetime) -> Sequence[Row]:
    """What it is and how far, what happens next, why it is in trouble, and its ids, in this order."""
    glyph, tone = status_look(saga.status)
    at = f" at {clean(saga.step, 60)}" if saga.step and saga.status not in ENDED else ""
    number = clean(saga.order_number or "", 40)
    first: list[Part] = [(f"{glyph} {clean(saga.status, 20)}", tone), (f"{clean(saga.name, 60)}{at}", "")]
    first += [(number, "accent")] if number else []
    rows = [_joined(first, "  "), _joined([*_next(saga, now), *_times(saga, now)], " · ")]
    if saga.last_error:
        rows.append(_joined([("why:", "dim"), (clean(saga.last_error), "bad")], " "))
    started = "" if saga.started_at is None else f"started {saga.started_at:{_TIME}}"
    rows.append(_joined([(f"saga {clean(saga.saga_id, 40)}", "dim"), (started, "dim")], " · "))
    seen = "" if saga.status in ENDED else f"seen {now:{_TIME}}"
    return [*rows, _joined([(f"order {clean(saga.order_id, 40)}", "dim"), (seen, "dim")], " · ")]


def foot_rows(saga: PicturedSaga, *, set_back: bool) -> Sequence[Row]:
    """What is still open and when that ends, and what one has to know to read the picture."""
    rows = [_joined(_open(saga), " ")]
    if goal := _goal(saga.lanes or (), saga.status):
        rows.append(_joined([(f"{'Done when:':<11}", "head"), (goal, "")], " "))
    if saga.lanes is None:
        rows.append(
            _joined([("this service does not tell the tries of each step: it is of an older release", "warn")], "")
        )
    elif not saga.lanes:
        rows.append(_joined([("this release of the service does not know the steps of this saga", "warn")], ""))
    if set_back:
        rows.append(_joined([("a clock was set back: the tries stand in the order of the log", "dim")], ""))
    return rows


def next_step(saga: WireSaga, now: datetime) -> Part:
    """What happens next by itself, in few words; that a person has to act, if nothing does."""
    if saga.status in ENDED:
        return ("–", "dim")
    if saga.status == "FAILED":
        return ("a person", "bad")
    if saga.next_attempt_at is not None:
        seconds = (saga.next_attempt_at - now).total_seconds()
        return (f"try in {brief(ceil(seconds))}" if seconds > 0 else "try is due", "accent")
    return ("under way", "moving") if saga.claimed else ("waits", "dim")


def still_open(saga: WireSaga) -> Part:
    """The money and the stock that are not settled, in few words."""
    held = saga.open.money
    amount = money(held.amount, held.currency) if held is not None else ""
    stock = ", ".join(f"{one.quantity:,} × {clean(one.sku, 40)}" for one in saga.open.stock[:3])
    more = f" and {len(saga.open.stock) - 3:,} more SKUs" if len(saga.open.stock) > 3 else ""
    parts = [f"money {amount}" if amount else "", f"stock {stock}{more}" if stock else ""]
    return (" · ".join(filter(None, parts)), "warn")


def _times(saga: PicturedSaga, now: datetime) -> list[Part]:
    if saga.started_at is None:
        return []
    if saga.status in ENDED:
        return [(f"took {brief((saga.updated_at - saga.started_at).total_seconds())}", "")] if saga.updated_at else []
    parts: list[Part] = [(f"began {brief((now - saga.started_at).total_seconds())} ago", "")]
    if saga.deadline is not None:
        left = (saga.deadline - now).total_seconds()
        parts.append((f"deadline in {brief(left)}", "") if left > 0 else (f"overdue by {brief(-left)}", "bad"))
    return parts


def _next(saga: PicturedSaga, now: datetime) -> list[Part]:
    if saga.status in ENDED:
        return []
    if saga.status == "FAILED":
        since = "" if saga.updated_at is None else f" since {brief((now - saga.updated_at).total_seconds())}"
        return [(f"waits for a person{since}", "bad")]
    held = f"held by {clean(saga.held_by, 40)}" if saga.held_by else ("held" if saga.claimed else "")
    if held and saga.lease_until is not None:
        held += f" until {saga.lease_until:%H:%M:%S}"
    words, tone = next_step(saga, now)
    return [(held, "")] if held else [(f"nobody holds it, {words}", tone)]


def _open(saga: PicturedSaga) -> list[Part]:
    lanes = [item for lane in saga.lanes or () for item in lane.open]
    words, tone = still_open(saga)
    if saga.status == "RESOLVED":
        return [("✔", "done"), ("A person has settled elsewhere what was open.", "")]
    if not words and not lanes and not saga.open.items:
        return [("✔", "good"), ("Nothing is open.", "")]
    text = words or "; ".join(clean(item, 200) for item in [*saga.open.items, *lanes][:3])
    return [("Still open:", "head"), (text, tone)]


def _goal(lanes: Sequence[WireLane], status: str) -> str:
    """What has to happen until nothing is open: the undos that are not done, or else the steps that are not."""
    if status in ENDED:
        return ""
    undos = [clean(lane.undo, 60) for lane in reversed(lanes) if lane.undo is not None and lane.undo_status in _TO_UNDO]
    steps = [clean(lane.does or lane.step, 60) for lane in lanes if lane.status not in {"DONE", "SKIPPED"}]
    return ", ".join(undos or steps)


def _joined(parts: Sequence[Part], between: str) -> Row:
    marks, at = list[Mark](), 1
    for n, (text, tone) in enumerate(part for part in parts if part[0]):
        if n and between.strip():
            marks.append(Mark(at, between, "dim"))
        at += cell_len(between) if n else 0
        marks.append(Mark(at, text, tone))
        at += cell_len(text)
    return marks
