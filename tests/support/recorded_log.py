"""A log that was recorded when every event had schema version 1, and its orders as they were answered then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from core.codec import StoredEvent
from core.projections.order_view import OrderView

LOGS = Path(__file__).parents[1] / "data" / "logs"
COLUMNS = tuple[int, UUID, str, int, UUID, str, int, str, str, UUID, datetime]


def lines(name: str) -> Sequence[bytes]:
    return (LOGS / name).read_bytes().splitlines()


EVENTS = [StoredEvent(*msgspec.json.decode(line, type=COLUMNS)) for line in lines("schema_1.events.jsonl")]  # type: ignore[arg-type]
ORDERS = [msgspec.json.decode(line, type=OrderView) for line in lines("schema_1.orders.jsonl")]
CREATED = [event for event in EVENTS if event.event_type == "OrderCreated"]
