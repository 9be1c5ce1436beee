"""Answers `GET /api/v1/events` from a list of events, as the query API does from the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from tui.gateway import ServiceRefused

KNOWN = ("OrderCreated", "OrderConfirmed", "OrderCancelled", "OrderShipped", "PaymentFailed", "SagaStepFailed")
KNOWN += ("PaymentAuthorized", "SagaStarted", "InventoryReserved", "SagaCompleted")
BY_NUMBER = "/api/v1/orders/number/"


def log_page(log: Sequence[dict[str, Any]], asked: Mapping[str, str]) -> dict[str, Any]:
    if "type" in asked and not any(_one_of(asked["type"], name) for name in KNOWN):
        raise ServiceRefused(400, "validation_failed", f"type: {asked['type']}: must be of {', '.join(KNOWN)}")
    if "as_of" in asked:
        log = [event for event in log if _as_of(event, asked["as_of"])]
    limit, after = int(asked.get("limit", 100)), int(asked.get("after", 0))
    if "at" in asked:
        at = datetime.fromisoformat(asked["at"])
        after = sum(datetime.fromisoformat(event["timestamp"]) < at for event in log)
    fits = [event for event in log if _fits(event, asked)]
    if "before" in asked:
        before = int(asked["before"])
        events = [event for event in fits if event["position"] < before][-limit:]
        next_after = min(max(0, before - 1), len(log))
        next_before = events[0]["position"] if len(events) == limit else 0
    else:
        events = [event for event in fits if event["position"] > after][:limit]
        next_after = events[-1]["position"] if len(events) == limit else max(after, len(log))
        next_before = after + 1
    return {"events": events, "next_after": next_after, "next_before": next_before, "head": len(log)}


def _as_of(event: dict[str, Any], place: str) -> bool:
    if place.isdigit():
        return bool(event["position"] <= int(place))
    return datetime.fromisoformat(event["timestamp"]) <= datetime.fromisoformat(place)


def _fits(event: dict[str, Any], asked: Mapping[str, str]) -> bool:
    return (
        _one_of(asked.get("type"), event["event_type"])
        and _one_of(asked.get("category"), event["aggregate_type"])
        and asked.get("order_id") in (None, event["metadata"].get("correlation_id"))
        and asked.get("stream_id") in (None, event["aggregate_id"])
    )


def _one_of(names: str | None, name: str) -> bool:
    return names is None or any(fnmatchcase(name.lower(), each.lower()) for each in names.split(","))
