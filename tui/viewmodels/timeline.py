"""Timeline: an order's events in the order of the log, the state after each, and which of them is chosen."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from core.printable import clean
from core.terminal_text import counted, money, span
from tui.viewmodels.fold import Change, TimelineState, changes, evolve, saga_words
from tui.viewmodels.statuses import STATUS_AFTER
from tui.viewmodels.text import plain
from tui.wire import WireEvent, WireOrder, payload_of

MOST_EVENTS = 20_000  # of one order
QUIET = 5.0  # seconds without an event that are drawn as one short dotted line
KEPT_EVERY = 50  # events: after so many a state is kept; those between are folded again when they are asked for
MOST_KEPT = 128  # states; when there are more, every other one is dropped, and twice as many events lie between
MOST_MARKS = 2
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
    return {"order": "●", "inventory": "▪", "payment": "$", "saga": "·", "reader": "◆", "customer": "◇"}.get(
        aggregate_type, "?"
    )


def summary(event: WireEvent) -> str:
    """What the event says, in a few words."""
    p = payload_of(event)
    if event.aggregate_type == "saga":
        step = saga_words(event.event_type, p)
        return f"{plain(p['name'])} {step}" if event.event_type == "SagaStarted" and "name" in p else step
    words = [
        f"{plain(p['event_type'])} in {plain(p['reader'])}" if "reader" in p and "event_type" in p else "",
        f"{_lines(p['items'])} {_money(p, 'total_amount')}" if isinstance(p.get("items"), list) else "",
        plain(p["sku"]) if "sku" in p else "",
        f"×{plain(p['quantity'])}" if "quantity" in p else "",
        _money(p, "amount") if "amount" in p else "",
        " ".join(plain(p[name]) for name in ("carrier", "tracking_number") if p.get(name)),
        plain(p["reason"]) if p.get("reason") else "",
    ]
    return clean("  ".join(part for part in words if part))


def _lines(items: Sequence[object]) -> str:
    return counted(len(items), "line")


def _money(p: dict[str, object], name: str) -> str:
    try:
        return money(str(p.get(name)), str(p.get("currency") or ""))
    except ArithmeticError:
        return plain(p.get(name))


class Timeline:
    """`at` is the chosen event; while it is the last one the view is live and follows new events.

    The first MOST_EVENTS are held. `cut` says that there are more, so that even the last one is in the past.
    """

    def __init__(self) -> None:
        self.events: list[WireEvent] = []
        self.at = 0
        self.cut = False
        self.only = ""  # the category whose events are shown; empty: all of them
        self.marks: list[int] = []  # positions of marked events, in the order in which they were marked
        self._rows: Sequence[int] = ()
        self._every = KEPT_EVERY
        self._kept = [TimelineState()]  # the state before the events 0, `_every`, 2 * `_every`, …
        self._near = (0, TimelineState())  # a number of events, and the state after so many

    @property
    def live(self) -> bool:
        return self.at >= len(self.events) - 1 and not self.cut

    @property
    def current(self) -> WireEvent | None:
        return self.events[self.at] if self.events else None

    # --- events that come in ------------------------------------------------------------------------------------------

    def take(self, events: Iterable[WireEvent]) -> bool:
        """Merge events in by position, each once; True when something was new. The chosen event stays chosen."""
        last = self.events[-1].position if self.events else -1
        fresh = {event.position: event for event in events}
        if any(position <= last for position in fresh):
            fresh = {position: event for position, event in fresh.items() if self._index(position) is None}
        if self.cut or not fresh:
            return False
        live, chosen = self.live, self.current
        first = min(fresh)
        unchanged = bisect_left(self.events, first, key=_position)
        self.events[unchanged:] = sorted([*self.events[unchanged:], *fresh.values()], key=_position)
        self.cut = len(self.events) > MOST_EVENTS
        del self.events[MOST_EVENTS:]
        self._fold_from(unchanged)
        if live or chosen is None:
            self.at = len(self.events) - 1
        else:
            self.at = min(bisect_left(self.events, chosen.position, key=_position), len(self.events) - 1)
        self._choose_rows()
        return True

    def _index(self, position: int) -> int | None:
        n = bisect_left(self.events, position, key=_position)
        return n if n < len(self.events) and self.events[n].position == position else None

    def index_of(self, event_id: str) -> int | None:
        """Where the event with that id is; None when it is not among those held."""
        return next((n for n, event in enumerate(self.events) if event.event_id == event_id), None)

    # --- the states ---------------------------------------------------------------------------------------------------

    def _fold_from(self, unchanged: int) -> None:
        """Bring the kept states up to date; the first `unchanged` events were folded before."""
        del self._kept[unchanged // self._every + 1 :]
        count, state = self._near
        if count != unchanged:
            count, state = (len(self._kept) - 1) * self._every, self._kept[-1]
        for event in self.events[count:]:
            state = evolve(state, event)
            count += 1
            if count % self._every == 0:
                self._kept.append(state)
                if len(self._kept) > MOST_KEPT:
                    self._kept, self._every = self._kept[::2], self._every * 2
        self._near = (count, state)

    def state(self, count: int) -> TimelineState:
        """The state after the first `count` events."""
        near, state = self._near
        if not near <= count < near + self._every:
            near, state = count // self._every * self._every, self._kept[count // self._every]
        if count == near:
            return state
        for event in self.events[near : count - 1]:
            state = evolve(state, event)
        self._near = (count - 1, state)  # it is asked for next: what did the last event change?
        return evolve(state, self.events[count - 1])

    def state_at(self) -> list[Change]:
        """The state after the chosen event, with what that event changed."""
        if not self.events:
            return []
        before = self.state(self.at)
        return changes(before, self.state(self.at + 1))

    def order_at(self) -> WireOrder | None:
        """The order as it was after the chosen event; None when it was not created yet."""
        return self.state(self.at + 1).order if self.events else None

    # --- choosing an event --------------------------------------------------------------------------------------------

    @property
    def rows(self) -> Sequence[int]:
        """The events that are shown, by their index: those of one category, or all. The newest one is always shown."""
        return self._rows if self.only else range(len(self.events))

    @property
    def row(self) -> int:
        """The row of the chosen event."""
        return bisect_left(self.rows, self.at)

    def choose(self, row: int) -> None:
        if self.events:
            self.at = self.rows[max(0, min(row, len(self.rows) - 1))]

    def go(self, index: int) -> None:
        """Choose an event whether or not its category is shown."""
        self.at = max(0, min(index, len(self.events) - 1))
        self._choose_rows()

    def next_status(self, direction: int) -> None:
        """Choose the next event in that direction that changed the order's status, if there is one."""
        row = self.row + direction
        while 0 <= row < len(self.rows):
            if self.events[self.rows[row]].event_type in STATUS_AFTER:
                self.choose(row)
                return
            row += direction

    def show_next_category(self) -> None:
        """Show the events of the next category that there are events of; after the last one, those of all again."""
        known = ["", *dict.fromkeys(event.aggregate_type for event in self.events)]
        at = known.index(self.only) if self.only in known else 0
        self.show_only(known[(at + 1) % len(known)])

    def show_only(self, category: str) -> None:
        """Show the events of one category, of all if it is empty; an event chosen before stays chosen and shown."""
        self.only = category
        self._choose_rows()

    def _choose_rows(self) -> None:
        last = len(self.events) - 1
        self._rows = (
            [n for n, event in enumerate(self.events) if event.aggregate_type == self.only or n in (self.at, last)]
            if self.only
            else ()
        )

    # --- marks and differences ----------------------------------------------------------------------------------------

    def mark(self) -> None:
        """Mark the chosen event, or take its mark away; a third mark takes the oldest one away."""
        if self.current is None:
            return
        position = self.current.position
        if position in self.marks:
            self.marks.remove(position)
        else:
            self.marks = [*self.marks, position][-MOST_MARKS:]

    def letter(self, index: int) -> str:
        """`A` or `B` at a marked event, A at the earlier one; else empty."""
        position = self.events[index].position
        return "AB"[sorted(self.marks).index(position)] if position in self.marks else ""

    def compared(self) -> tuple[int, int] | None:
        """The two events whose states are compared: both marks, or the mark and the chosen event; the earlier first."""
        marked = sorted(n for n in map(self._index, self.marks) if n is not None)
        if not marked:
            return None
        a, b = marked if len(marked) == MOST_MARKS else sorted((marked[0], self.at))
        return a, b

    def differences(self) -> list[Change]:
        """What the later of the two compared events shows otherwise than the earlier one."""
        pair = self.compared()
        if pair is None:
            return []
        before = self.state(pair[0] + 1)
        return [change for change in changes(before, self.state(pair[1] + 1)) if change.before is not None]

    # --- the time between ---------------------------------------------------------------------------------------------

    def since_last(self, row: int) -> float | None:
        """Seconds since the event in the row before, None in the first; 0 when the clock was set back between them."""
        if not 0 < row < len(self.rows):
            return None
        then, now = self.events[self.rows[row - 1]].timestamp, self.events[self.rows[row]].timestamp
        return max(0.0, (now - then).total_seconds())

    def quiet_before(self, row: int) -> str:
        """`38.0s` when there was no event for that long before the one in this row, else an empty text."""
        gap = self.since_last(row)
        return span(gap) if gap is not None and gap >= QUIET else ""


def _position(event: WireEvent) -> int:
    return event.position
