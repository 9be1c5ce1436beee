"""How webhooks and their messages are shown: the cells of a row, and all that is known of the chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.printable import clean
from core.terminal_text import counted, span
from tui.viewmodels.text import Cell
from tui.viewmodels.webhooks import WireDelivery, WireWebhook

_TONES = {"waiting": "warn", "delivered": "good", "failed": "bad", "skipped": "dim"}
_SHOWN_TYPES = 12


def webhook_cells(hook: WireWebhook, now: datetime) -> Sequence[Cell]:
    return (
        Cell(address(hook)),
        Cell("enabled" if hook.enabled else "disabled", "good" if hook.enabled else "warn"),
        Cell(gets(hook)),
        Cell(f"{hook.behind:,}", "" if hook.behind else "dim"),
        Cell(f"{hook.waiting:,}", "warn" if hook.waiting else "dim"),
        Cell(f"{hook.failed:,}", "bad" if hook.failed else "dim"),
        Cell(_time(hook.delivered_at, now) if hook.delivered_at else "never", "" if hook.delivered_at else "dim"),
        Cell(_next_try(hook, now)),
    )


def webhook_lines(hook: WireWebhook | None, now: datetime) -> list[list[Cell]]:
    """All that is known of a webhook."""
    if hook is None:
        return []
    state = "enabled" if hook.enabled else f"disabled: {clean(hook.disabled_why, 300) or 'nobody says why'}"
    signed = "by one secret" if hook.secrets < 2 else "by the new secret and the old one"
    waits = f"{hook.waiting:,} wait{_due(hook, now)}, {dead_letters(hook.failed)}"
    delivered = f"{hook.delivered_at:%Y-%m-%d %H:%M:%S} UTC" if hook.delivered_at else "never"
    lines = [
        ("leads to", address(hook), ""),
        ("gets", gets(hook), ""),
        ("is for", clean(hook.description, 200), ""),
        ("state", state, "" if hook.enabled else "warn"),
        ("messages", f"{waits}; signed {signed}", "bad" if hook.failed else ""),
        ("log", f"up to event {hook.position:,}, {hook.behind:,} behind", ""),
        ("taken", delivered, ""),
        ("error", clean(hook.last_error, 300), "bad"),
        ("made", f"{hook.created_at:%Y-%m-%d %H:%M} UTC by {clean(hook.created_by, 60)}, {clean(hook.id, 60)}", "dim"),
    ]
    return [[Cell(f" {name:<9}", "dim"), Cell(text, tone)] for name, text, tone in lines if text]


def delivery_cells(delivery: WireDelivery, now: datetime, *, enabled: bool) -> Sequence[Cell]:
    due = delivery.due_at if delivery.state == "waiting" else None
    waits = "stopped" if not enabled and delivery.position is not None else _in(due, now)
    return (
        Cell(_time(delivery.tried_at or delivery.created_at, now)),
        Cell(clean(delivery.state, 20), _TONES.get(delivery.state, "")),
        Cell(f"{delivery.tries:,}"),
        Cell(waits if delivery.state == "waiting" else "", "dim"),
        Cell("" if delivery.position is None else f"{delivery.position:,}"),
        Cell(clean(delivery.message_type, 60)),
        Cell(answer(delivery)),
    )


def delivery_lines(delivery: WireDelivery | None) -> list[list[Cell]]:
    """All that is known of a message."""
    if delivery is None:
        return []
    tried = f"{delivery.tried_at:%Y-%m-%d %H:%M:%S} UTC" if delivery.tried_at else "not yet"
    due = f", again {delivery.due_at:%Y-%m-%d %H:%M:%S} UTC" if delivery.due_at else ""
    event = "a test" if delivery.position is None else f"event {delivery.position:,}"
    lines = [
        ("message", f"{clean(delivery.message_type, 60)}, {event}, webhook-id {clean(delivery.message_id, 40)}", ""),
        ("tried", f"{tried}{due}; {delivery.tries:,} {'try' if delivery.tries == 1 else 'tries'}", ""),
        ("answer", answer(delivery), "bad" if delivery.error else ""),
    ]
    return [[Cell(f" {name:<9}", "dim"), Cell(text, tone)] for name, text, tone in lines if text]


def dead_letters(count: int) -> str:
    return counted(count, "dead letter")


def address(hook: WireWebhook) -> str:
    return clean(hook.url, 2_000)


def gets(hook: WireWebhook) -> str:
    """The types of events that it gets."""
    shown = ", ".join(clean(name, 60) for name in hook.event_types[:_SHOWN_TYPES])
    more = len(hook.event_types) - _SHOWN_TYPES
    return (f"{shown} and {more} more" if more > 0 else shown) or "every event"


def answer(delivery: WireDelivery) -> str:
    """What its receiver said last."""
    return clean(delivery.error, 400) or (f"answered {delivery.status}" if delivery.status is not None else "")


def _time(moment: datetime, now: datetime) -> str:
    return moment.strftime("%H:%M:%S" if moment.date() == now.date() else "%m-%d %H:%M")


def _next_try(hook: WireWebhook, now: datetime) -> str:
    if not hook.waiting:
        return ""
    return _in(hook.next_try_at, now) if hook.enabled else "stopped"


def _due(hook: WireWebhook, now: datetime) -> str:
    text = _next_try(hook, now)
    return f", the next try {text if text in ('now', 'stopped') else f'in {text}'}" if text else ""


def _in(moment: datetime | None, now: datetime) -> str:
    """How long it is until then; a message that is due is sent now."""
    left = 0.0 if moment is None else (moment - now).total_seconds()
    return span(left) if left >= 1 else "now"
