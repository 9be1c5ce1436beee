"""The lines around a view: its title and how far the deck is behind above it, the keys that work now below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.printable import clean
from core.terminal_text import money, span
from tui.action_table import Action
from tui.desk import VIEWER, Desk
from tui.past_gateway import PastGateway, PastMoment
from tui.receipts import Receipt
from tui.viewmodels.outages import COMMANDS, DATABASE, PartAway, whole_seconds
from tui.viewmodels.text import Cell
from tui.viewmodels.two_moments import progress

BEHIND = 2.0  # seconds that a read model may be late before the line turns to a warning


def top_cells(desk: Desk, title: str) -> list[Cell]:
    feed = desk.feed
    name = [Cell(" orderdeck", "chosen"), *_marks(desk), Cell(f" ▸ {title}  ")]
    if desk.past is not None:
        return [*name, *past_cells(desk, desk.past)]
    if desk.gateway.read_only:
        name.append(Cell("READ ONLY  ", "accent"))
    elif desk.role == VIEWER:
        name.append(Cell("VIEWER  ", "accent"))
    elif desk.commands_away:
        name.append(Cell(f"✖ NO COMMANDS{_lasts(desk, desk.outages.of(COMMANDS))}  ", "bad"))
    alarm = alarm_cells(desk)
    if feed.state == "connecting":
        return [*name, Cell("◌ CONNECTING", "warn")]
    if feed.state == "lost":
        wait = max(0.0, feed.retry_at - desk.clock())
        again = f"  again in {wait:.1f}s (ctrl+r now)  "
        lasts = whole_seconds(desk.clock() - feed.lost_at)
        return [*name, Cell(f"✖ DISCONNECTED {lasts}", "bad"), *alarm, Cell(again), Cell(clean(feed.reason), "dim")]
    daemons = _daemon_cells(desk)
    if (outage := desk.outages.reads) is not None:
        what = "DATABASE AWAY" if outage.part == DATABASE else "NO READS"
        away = Cell(f"✖ {what}{_lasts(desk, outage)}", "bad")
        known = daemons if outage.part == DATABASE else []  # the query API says how they are
        return [*name, away, *known, *alarm, Cell(f"  {clean(outage.away.reason)}", "dim")]
    worst = desk.behind.worst(desk.clock())
    return [
        *name,
        Cell("● LIVE", "good"),
        *daemons,
        *alarm,
        Cell(f"  pos {feed.position or 0:,}  {desk.rate.per_second:,.0f} ev/s  "),
        _lag(desk),
        Cell(f"  UI {'–' if worst is None else span(worst)}"),
        *[Cell(f"  {clean(outage.away.reason)}", "dim") for outage in desk.outages.daemons[:1]],
    ]


def past_cells(desk: Desk, past: PastMoment) -> list[Cell]:
    """Which moment is shown, and whether it is there already or on its way."""
    shown = Cell(f"◀ THE PAST {past.named}", "bad")
    if past.steps:
        return [shown, Cell(f"  … {past.steps}", "warn")]
    making = desk.gateway.making if isinstance(desk.gateway, PastGateway) else None
    if making is not None:
        return [shown, Cell(f"  {progress(making)}", "warn")]
    event = f"  {clean(past.event, 30)}" if past.event else ""
    return [shown, Cell("  T: now", "warn"), Cell(f"  read-only{event}", "dim")]


def _daemon_cells(desk: Desk) -> list[Cell]:
    """The daemon that is away, or the one that does without something, and how many more there are."""
    outages = desk.outages.daemons
    if not outages:
        return []
    first, others = outages[0], f" +{len(outages) - 1}" if len(outages) > 1 else ""
    mark, tone = ("▲", "warn") if first.away.degraded else ("✖", "bad")
    return [Cell(f"  {mark} {clean(first.part, 20)}{_lasts(desk, first)}{others}", tone)]


def _lasts(desk: Desk, outage: PartAway | None) -> str:
    return f" {outage.lasts(desk.clock())}" if outage is not None else ""


def _marks(desk: Desk) -> list[Cell]:
    """What distinguishes this deck from others that may be open beside it."""
    config = desk.config
    return [Cell(f" [{clean(config.profile, 20)}]", "bad" if config.confirm else "warn")] if config.profile else []


def _lag(desk: Desk) -> Cell:
    health = desk.health
    if health is None:
        return Cell("lag ?", "warn")
    late = health.lag_seconds >= BEHIND
    text = span(health.lag_seconds) if health.lag_events else "0"
    who = f" {clean(health.reader, 20)}" if health.reader else ""
    return Cell(f"▲ BEHIND{who} {text}" if late else f"lag {text}", "warn" if late else "")


def alarm_cells(desk: Desk) -> list[Cell]:
    """How many things need a person, and their money; dim, with its age, when it could not be read lately."""
    attention = desk.attention
    alarms, age = attention.alarms, attention.age
    if alarms is None:
        return [Cell("  ⚠ ?", "dim")] if attention.error else []
    if not alarms.count and age is None:
        return []
    sums = sorted(alarms.money.items(), key=lambda item: -item[1])
    shown = f"  {money(sums[0][1], sums[0][0])}" if sums else ""
    others = f" +{len(sums) - 1}" if len(sums) > 1 else ""
    old = "" if age is None else f" ({whole_seconds(age)} ago)"
    text = f"  ⚠ {alarms.count:,}{'+' if alarms.more else ''}{shown}{others}{old}"
    return [Cell(text, "bad" if age is None else "dim")]


def key_cells(actions: Sequence[Action], refusal: Callable[[Action], str | None]) -> list[Cell]:
    """A key that would do nothing now is dim; pressing it says why."""
    cells: list[Cell] = []
    for action in actions:
        works = refusal(action) is None
        cells += [
            Cell(f" {action.shown}", "accent" if works else "dim"),
            Cell(f" {action.label} ", "" if works else "dim"),
        ]
    return cells


def receipt_cells(receipt: Receipt, named: str) -> list[Cell]:
    """`named` is what the operator calls the saga of a command to a saga."""
    accepted = receipt.accepted
    name = receipt.order.order_number if receipt.order else accepted.order_number or accepted.subject_id
    event = "" if accepted.position is None else f" → event {accepted.position:,}"
    again = "  (was recorded already)" if accepted.replayed else ""
    if receipt.command.kind != "order":
        what = f" ✔ {receipt.command.verb} {named}"
        return [Cell(what, "good"), Cell(f"{event} → {clean(accepted.status)}{again}")]
    unseen = f"not seen, since {receipt.unseen}" if receipt.unseen else "not visible yet"
    late = "in the log, and not in the view yet" if receipt.order else clean(unseen)
    seen = late if receipt.visible_ms is None else f"visible in the view {receipt.visible_ms:.0f} ms"
    text = f" ✔ {receipt.command.verb} {clean(name)}"
    amount = receipt.command.body.get("amount") if receipt.command.verb == "refund" else None
    total = f"  {money(amount or receipt.order.total_amount, receipt.order.currency)}" if receipt.order else ""
    return [Cell(text, "good"), Cell(total), Cell(f"  accepted {receipt.accepted_ms:.0f} ms{event} → {seen}{again}")]
