"""`orderdeck events` with words that only admins may ask for: by whom, why, in which request, between when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from daemons.cli.output import end_with
from daemons.cli.past import place_of
from daemons.cli.services import USAGE, order_id_of, read
from daemons.host.bounded_http import readable

WORDS = ("actor", "correlation", "causation", "request", "since", "until", "before")
PARAMETERS = {
    "type": "type", "category": "category", "stream": "stream_id", "actor": "actor", "correlation": "correlation_id",
    "causation": "causation_id", "request": "request_id", "after": "after", "before": "before",
}  # fmt: skip


def find(asked: Mapping[str, str], *, limit: int, schema: str) -> list[dict[str, Any]]:
    """The newest events that fit these words, in the order of the log, from as many pages as it takes."""
    if "at" in asked:
        end_with(USAGE, f"at: does not go with {', '.join(f'{word}:' for word in WORDS)} Say since: or until:")
    parameters = {PARAMETERS[name]: text for name, text in asked.items() if name in PARAMETERS}
    parameters |= {name: _moment(asked[name], name) for name in ("since", "until") if name in asked}
    parameters |= {"order_id": order_id_of(asked["order"])} if "order" in asked else {}
    events: list[dict[str, Any]] = []
    while True:
        page = read("/api/v1/admin/events", parameters | {"limit": str(limit - len(events)), "schema": schema})
        with readable("the query API"):
            events += page["events"]
            if page["next_before"] is None or len(events) >= limit:
                return events[::-1]
            parameters["before"] = str(earlier(page["next_before"], parameters.get("before")))


def earlier(place: Any, before: str | None) -> int:
    """The place where the next page goes on. Raises ValueError if that is none before this page, as it has to be."""
    if not isinstance(place, int) or (before is not None and place >= int(before)):
        raise ValueError(f"its pages do not end: {place} follows {before}")
    return place


def _moment(text: str, name: str) -> str:
    place = place_of(text, f"{name}:")
    if not isinstance(place, datetime):
        end_with(USAGE, f"{name}: is a time: 09:00, -2h, or 2026-03-14T09:00Z; after: and before: are positions")
    return place.isoformat()
