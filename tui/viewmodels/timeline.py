"""Timeline: an order's events in the order of the log, the time between them, and which of them is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.printable import clean
from core.terminal_text import money, span
from tui.viewmodels.fold import Change, TimelineState, changes, fold, saga_words
from tui.viewmodels.statuses import STATUS_AFTER
from tui.viewmodels.text import Cell, plain
from tui.wire import WireEvent, payload_of

QUIET = 5.0  # seconds without an event that are drawn as one short dotted line
FAILURES = ("Failed",)


def failed(event_type: str) -> bool:
    """Whether an event tells of something that went wrong; the stream pins such events so that none is missed."""
    return event_type.endswith(FAILURES)


def tone_of(event_type: str, aggregate_type: str) -> str:
    if failed(event_type):
        return "bad"
    if "Compensat" in event_type or event_type.endswith(("Released", "Voided", "Refunded", "Cancelled")):
        return "warn"
    return "dim" if aggregate_type == "saga" else ""


def glyph_of(event_type: str, aggregate_type: str) -> str:
    if failed(event_type):
        return "✖"
    if tone_of(event_type, aggregate_type) == "warn":
        return "↺"
    return {"order": "●", "inventory": "▪", "payment": "$", "saga": "·"}.get(aggregate_type, "?")


def summary(event: WireEvent) -> str:
    """What the event says, in a few words."""
    p = payload_of(event)
    if event.aggregate_type == "saga":
        step = saga_words(event.event_type, p)
        return f"{plain(p['name'])} {step}" if event.event_type == "SagaStarted" and "name" in p else step
    words = [
        f"{_lines(p['items'])} {_money(p, 'total_amount')}" if isinstance(p.get("items"), list) else "",
        plain(p["sku"]) if "sku" in p else "",
        f"×{plain(p['quantity'])}" if "quantity" in p else "",
        _money(p, "amount") if "amount" in p else "",
        " ".join(plain(p[name]) for name in ("carrier", "tracking_number") if p.get(name)),
        plain(p["reason"]) if p.get("reason") else "",
    ]
    return clean("  ".join(part for part in words if part))


def _lines(items: Sequence[object]) -> str:
    return "1 line" if len(items) == 1 else f"{len(items)} lines"


def _money(p: dict[str, object], name: str) -> str:
    try:
        return money(str(p.get(name)), str(p.get("currency") or ""))
    except ArithmeticError:
        return plain(p.get(name))


@dataclass
class Timeline:
    """`at` is the chosen event; while it is the last one the view is live and follows new events."""

    events: list[WireEvent] = field(default_factory=list[WireEvent])
    states: list[TimelineState] = field(default_factory=list[TimelineState])
    at: int = 0

    @property
    def live(self) -> bool:
        return self.at >= len(self.events) - 1

    @property
    def current(self) -> WireEvent | None:
        return self.events[self.at] if self.events else None

    def take(self, events: Iterable[WireEvent]) -> bool:
        """Merge events in by position, each once; True when something was new. The chosen event stays chosen."""
        known = {e.position for e in self.events}
        fresh = {e.position: e for e in events if e.position not in known}
        if not fresh:
            return False
        chosen = None if self.live else self.events[self.at].position
        self.events = sorted([*self.events, *fresh.values()], key=lambda e: e.position)
        self.states = fold(self.events)
        last = len(self.events) - 1
        self.at = last if chosen is None else next(n for n, e in enumerate(self.events) if e.position == chosen)
        return True

    def go(self, index: int) -> None:
        self.at = max(0, min(index, len(self.events) - 1))

    def next_status(self, direction: int) -> None:
        """Choose the next event in that direction that changed the order's status, if there is one."""
        n = self.at + direction
        while 0 <= n < len(self.events):
            if self.events[n].event_type in STATUS_AFTER:
                self.at = n
                return
            n += direction

    def since_last(self, index: int) -> float | None:
        """Seconds since the event before, None at the first; 0 when the clock was set back between them."""
        if not 0 < index < len(self.events):
            return None
        return max(0.0, (self.events[index].timestamp - self.events[index - 1].timestamp).total_seconds())

    def quiet_before(self, index: int) -> str:
        """`38s quiet` when there was no event for that long before this one, else an empty text."""
        gap = self.since_last(index)
        return f"{span(gap)} quiet" if gap is not None and gap >= QUIET else ""

    def state_at(self) -> list[Change]:
        if not self.events:
            return []
        return changes(self.states[self.at - 1] if self.at else TimelineState(), self.states[self.at])

    def track(self, width: int) -> list[Cell]:
        """The scrubber: a mark for each event, a short dotted line for each long gap, and ◉ for the chosen event."""
        marks: list[list[Cell]] = []
        for n, event in enumerate(self.events):
            mark = Cell("◉", "chosen") if n == self.at else _mark(event)
            gap = self.quiet_before(n).removesuffix(" quiet")
            join = Cell(f"┄{gap}┄", "dim") if gap else Cell("─" if n else "├", "dim")
            marks.append([join, mark])
        low = high = self.at
        room = width - 2 - sum(len(c.text) for c in marks[self.at]) if marks else 0
        while marks and room > 0 and (low > 0 or high < len(marks) - 1):
            grow_high = high < len(marks) - 1 and (high - self.at <= self.at - low or low == 0)
            candidate = marks[high + 1] if grow_high else marks[low - 1]
            room -= sum(len(c.text) for c in candidate)
            if room < 0:
                break
            low, high = (low, high + 1) if grow_high else (low - 1, high)
        shown = [cell for mark in marks[low : high + 1] for cell in mark]
        before = [Cell("‹", "dim")] if low > 0 else []
        after = [Cell("›" if high < len(marks) - 1 else "┤", "dim")] if marks else []
        return [*before, *shown, *after]


def _mark(event: WireEvent) -> Cell:
    named = (event.event_type, event.aggregate_type)
    return Cell(glyph_of(*named), tone_of(*named) or "accent")
