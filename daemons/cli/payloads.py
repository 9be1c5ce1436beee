"""What operators want to read of the payloads of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def details(event: Mapping[str, Any]) -> str:
    """What an operator wants to read of an event's payload."""
    names = (
        "order_number", "customer_id", "total_amount", "step", "sku", "quantity", "amount", "currency",
        "tracking_number", "carrier", "error", "reason", "by",
    )  # fmt: skip
    payload: Mapping[str, Any] = event["payload"]
    return "  ".join(str(payload[name]) for name in names if payload.get(name))


def paid_with(events: Sequence[Mapping[str, Any]]) -> str:
    """How the order is paid for, as its first event says it in either shape."""
    method: Any = next((e["payload"].get("payment_method") for e in events if e["event_type"] == "OrderCreated"), None)
    match method:
        case {"label": label, "type": kind} if label:
            return f"{label} ({kind})"
        case {"type": kind}:
            return str(kind)
        case _:
            return str(method or "")
