"""What the detail of an order says, as lines: its head, its history, its state and an event.

Everything in them is of the chosen event. What is of the present while the past is viewed is labelled "now".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len

from core.printable import clean
from core.terminal_text import fit, money, span
from tui.viewmodels.detail import DetailModel
from tui.viewmodels.fold import Change
from tui.viewmodels.payments import end_of_authorization, how_much, payment_cell
from tui.viewmodels.statuses import one_line, status_cell
from tui.viewmodels.text import Cell, clock_time, pretty
from tui.viewmodels.timeline import Timeline, glyph_of, summary, tone_of
from tui.wire import WireEvent, WireOrder

Cells = list[Cell]
_LABEL = 12  # cells that a label may always take


def who_cells(model: DetailModel) -> tuple[Cells, Cells]:
    """Which order it is: what never changes of it."""
    order = model.order or model.shown
    if order is None:
        return [Cell(f" {clean(model.order_id)}", "head")], []
    left = [
        Cell(f" {clean(order.order_number)}", "head"),
        Cell(f"  {money(order.total_amount, order.currency)}  {clean(order.customer_id)}"),
    ]
    return left, [Cell(f"{one_line(order.shipping_address)} ", "dim")]


def standing_cells(model: DetailModel, now: datetime, width: int) -> tuple[Cells, Cells]:
    """How it stands: at the chosen event, and loudly so while that is in the past."""
    timeline, order = model.timeline, model.shown
    left = [Cell(" ")]
    if model.past and timeline.current is not None:
        left = [Cell(f" {viewing(timeline, now)} ", "flash"), Cell("  ")]
    if order is None:
        left.append(Cell("not created yet" if model.past else "", "dim"))
    else:
        moment = timeline.current.timestamp if model.past and timeline.current else now
        left += _order_cells(order, moment)
    for right in _right_of(model):
        if _width(left) + _width(right) < width:
            return left, right
    return left, []


def viewing(timeline: Timeline, now: datetime) -> str:
    """`VIEWING event 3 of 9, 10:42:11, not live`; with the date unless it is today's."""
    event = timeline.events[timeline.at]
    day = "" if event.timestamp.date() == now.date() else f"{event.timestamp:%Y-%m-%d} "
    more = "+" if timeline.cut else ""
    at = f"event {timeline.at + 1:,} of {len(timeline.events):,}{more}"
    return f"VIEWING {at}, {day}{event.timestamp:%H:%M:%S}, not live"


def _order_cells(order: WireOrder, moment: datetime) -> Cells:
    """Status, payment and parcel: `◆ CONFIRMED · REFUNDED 20.00 of 20.00 USD  UPS 1Z9`; `moment` is when it was so."""
    payment, end = payment_cell(order.payment_status), end_of_authorization(order, moment)
    cells = [
        status_cell(order.status),
        Cell(" · ", "dim"),
        Cell(f"{payment.text} {how_much(order)}".rstrip(), payment.tone),
    ]
    if end:
        cells.append(Cell(f" {end}", "warn"))
    if order.tracking_number:
        cells.append(Cell("  " + clean(f"{order.carrier or ''} {order.tracking_number}".strip())))
    return cells


def _right_of(model: DetailModel) -> list[Cells]:
    """What may stand at the right, the longest first, to be shown where there is room."""
    order = model.order
    if model.phase == "error" and model.timeline.events:
        return [[Cell(f"{words} ", "bad")] for words in (f"not read again: {clean(model.error)}", "not read again")]
    if order is None:
        return []
    if not model.past:
        return [[Cell(f"v{order.version} ", "dim")]]
    payment = payment_cell(order.payment_status).text
    return [[Cell(f"now: {words} ", "dim")] for words in (f"{clean(order.status)} · {payment}", clean(order.status))]


def notice(model: DetailModel) -> Cells:
    """What stands in the place of the history while there is none."""
    if model.phase != "error":
        return [Cell("reading its history …", "dim")]
    return [
        Cell("This order could not be read", "bad"),
        Cell(clean(model.error)),
        Cell("ctrl+r tries again", "dim"),
    ]


def history_cells(timeline: Timeline, row: int, *, narrow: bool) -> Sequence[Cell]:
    """The event in one row of the history, and the time since the one above it.

    In a narrow table without room for what an event says, an event of a saga says its step instead of its type.
    """
    index = timeline.rows[row]
    event, gap = timeline.events[index], timeline.since_last(row)
    quiet, words = bool(timeline.quiet_before(row)), summary(event)
    ago = "" if gap is None else (f"┄ {span(gap)} ┄" if quiet else f"+{span(gap)}")
    named = words if narrow and event.aggregate_type == "saga" else event.event_type
    kind, letter = (event.event_type, event.aggregate_type), timeline.letter(index)
    return (
        Cell(f"{letter}{index + 1}", "flash" if letter else "dim"),
        Cell(f"{letter if narrow and letter else glyph_of(*kind)} {clean(named)}", tone_of(*kind)),
        Cell(ago, "accent" if quiet else "dim"),
        Cell(words, "dim"),
        Cell(clock_time(event.timestamp), "dim"),
    )


def state_lines(model: DetailModel, width: int) -> list[Cells]:
    """The state after the chosen event; what that event changed is marked and says what it was before."""
    timeline = model.timeline
    if timeline.current is None:
        return []
    state = timeline.state_at()
    changed = sum(1 for line in state if line.before is not None)
    title = f" STATE {'then, ' if model.past else 'now, '}after {timeline.at + 1}   {changed} changed"
    return [[Cell(title, "flash" if model.past else "head")], *_lines(state, width)]


def difference_lines(timeline: Timeline, width: int) -> list[Cells]:
    """What differs between the two events that are compared."""
    pair = timeline.compared()
    if pair is None:
        return []
    names = [f"{timeline.letter(n) or 'here'} ({n + 1})" for n in pair]
    apart = (timeline.events[pair[1]].timestamp - timeline.events[pair[0]].timestamp).total_seconds()
    lines = [[Cell(f" CHANGED from {names[0]} to {names[1]}, {span(apart)}", "flash")]]
    differences = timeline.differences()
    return [*lines, *(_lines(differences, width) if differences else [[Cell(" nothing", "dim")]])]


def _lines(changes: Sequence[Change], width: int) -> list[Cells]:
    longest = min(max((cell_len(line.label) for line in changes), default=0), max(_LABEL, width // 3))
    lines = list[Cells]()
    for label, value, before in changes:
        mark = Cell(" " if before is None else "▸", "accent")
        was = [] if before in (None, "–") else [Cell(f"  was {before}", "dim")]
        lines.append(
            [mark, Cell(f"{fit(label, longest)} ", "dim"), Cell(value, "" if before is None else "accent"), *was]
        )
    return lines


def event_lines(event: WireEvent) -> list[Cells]:
    by = f"   by {event.metadata.user_id}" if event.metadata.user_id else ""
    head = f" {event.event_type}   at {event.position:,}   v{event.version}{by}"
    return [[Cell(clean(head), "head")], *([Cell(f" {line}")] for line in pretty(bytes(event.payload)))]


def _width(cells: Cells) -> int:
    return sum(cell_len(cell.text) for cell in cells)
