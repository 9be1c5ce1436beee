"""How a row of the audit is shown: its cells in the list, and all that is known of the chosen one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from core.printable import clean
from tui.viewmodels.audit import AuditedAct
from tui.viewmodels.text import Cell

TONES = {"done": "good", "refused": "warn", "failed": "bad"}
_ID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_FIELD = re.compile(r"\{\w+\}")  # of a route: what stood there is the target
_ENDS = 12  # characters of an id that are shown: its end tells it from others
_OPENS = {"/orders/": "detail", "/sagas/": "saga"}


def row_cells(act: AuditedAct, now: datetime) -> Sequence[Cell]:
    today = act.at.date() == now.date()
    when = act.at.strftime("%H:%M:%S" if today else "%m-%d %H:%M")
    times = f"{act.times:,}× " if act.times > 1 else ""
    return (
        Cell(when),
        Cell(who(act), "" if act.caller else "dim"),
        Cell(clean(act.source, 60)),
        Cell(times + _FIELD.sub("…", clean(act.action, 200).replace("/api/v1/", ""))),
        Cell(_named(clean(act.target, 80))),
        Cell(outcome(act), TONES.get(act.outcome, "")),
    )


def _named(target: str) -> str:
    return f"…{target[1 - _ENDS :]}" if _ID.fullmatch(target) else target


def who(act: AuditedAct) -> str:
    caller = clean(act.caller, 60) or "nobody"
    return f"{caller} for {clean(act.on_behalf_of, 60)}" if act.on_behalf_of else caller


def outcome(act: AuditedAct) -> str:
    return f"{clean(act.outcome, 20)} {act.status or ''}".strip()


def whole_lines(act: AuditedAct | None) -> list[list[Cell]]:
    """All that is known of a row."""
    if act is None:
        return []
    key = f"  with the key {clean(act.key_id, 60)}" if act.key_id else ""
    times = f"  {act.times:,} equal ones" if act.times > 1 else ""
    event = f"  up to event {act.event_position:,}" if act.event_position else ""
    problem = f"  {clean(act.problem, 60)}" if act.problem else ""
    shown = outcome(act)
    lines = [
        ("who", f"{who(act)}  from {clean(act.source, 80) or '?'}{key}"),
        ("when", f"{act.at:%Y-%m-%d %H:%M:%S} UTC, row {act.position:,} of the audit"),
        ("what", clean(act.action, 200)),
        ("on", clean(act.target, 200)),
        ("outcome", f"{shown}{problem}{times}{event}"),
        ("request", clean(act.request_id, 100)),
        ("more", clean(act.detail, 300)),
    ]
    return [[Cell(f" {name:<8}", "dim"), Cell(text, _tone(name, act))] for name, text in lines if text]


def opens(act: AuditedAct) -> tuple[str, str] | None:
    """The view of the order or saga that was acted on, and its id."""
    if not _ID.fullmatch(act.target):
        return None
    return next(((view, act.target) for part, view in _OPENS.items() if part in f"{act.action}/"), None)


def _tone(name: str, act: AuditedAct) -> str:
    return TONES.get(act.outcome, "") if name == "outcome" else ""
