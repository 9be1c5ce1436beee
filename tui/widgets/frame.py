"""The frame's lines: where we are and how far behind at the top, the keys that work now at the bottom."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tui.actions import Receipt
from tui.desk import Desk
from tui.keys import KeyHint
from tui.viewmodels.text import Cell, clean, money, span

BEHIND = 2.0  # seconds a read model may be late before it is said in colour


def top_cells(desk: Desk, title: str) -> list[Cell]:
    feed = desk.feed
    name = [Cell(" orderdeck", "chosen"), Cell(f" ▸ {title}  ")]
    if feed.state == "connecting":
        return [*name, Cell("◌ CONNECTING", "warn")]
    if feed.state == "lost":
        wait = max(0.0, feed.retry_at - desk.clock())
        again = f"  again in {wait:.1f}s (ctrl+r now)  "
        return [*name, Cell("✖ DISCONNECTED", "bad"), Cell(again), Cell(clean(feed.reason, 60), "dim")]
    worst = desk.behind.worst(desk.clock())
    return [
        *name,
        Cell("● LIVE", "good"),
        Cell(f"  pos {feed.position or 0:,}  {desk.rate.per_second:,.0f} ev/s  "),
        _lag(desk),
        Cell(f"  UI {'–' if worst is None else span(worst)}"),
    ]


def _lag(desk: Desk) -> Cell:
    health = desk.health
    if health is None:
        return Cell("lag ?", "warn")
    late = health.lag_seconds >= BEHIND
    said = span(health.lag_seconds) if health.lag_events else "0"
    return Cell(f"▲ BEHIND {said}" if late else f"lag {said}", "warn" if late else "")


def key_cells(hints: Sequence[KeyHint], why_not: Callable[[str], str | None]) -> list[Cell]:
    """A key that would do nothing now is dim; pressing it says why."""
    cells: list[Cell] = []
    for hint in hints:
        works = why_not(hint.action) is None
        cells += [Cell(f" {hint.shown}", "accent" if works else "dim"), Cell(f" {hint.label} ", "" if works else "dim")]
    return cells


def receipt_cells(receipt: Receipt) -> list[Cell]:
    accepted = receipt.accepted
    name = receipt.order.order_number if receipt.order else accepted.order_number or accepted.order_id
    event = "" if accepted.position is None else f" → event {accepted.position:,}"
    seen = "not visible yet" if receipt.visible_ms is None else f"visible {receipt.visible_ms:.0f} ms"
    said = f" ✔ {receipt.command.verb} {clean(name)}"
    total = f"  {money(receipt.order.total_amount, receipt.order.currency)}" if receipt.order else ""
    again = "  (was recorded already)" if accepted.replayed else ""
    return [Cell(said, "good"), Cell(total), Cell(f"  accepted {receipt.accepted_ms:.0f} ms{event} → {seen}{again}")]
