"""An audit in memory, which a fake gateway keeps of its commands and answers as the service does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tui.gateway import CommandToSend, ServiceRefused

ROUTES = {"place": "POST /api/v1/orders", "refund": "POST /api/v1/orders/{order_id}/refund"}
ASKED = ("caller", "source", "action", "target", "outcome", "request_id")


class FakeAudit:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def note(
        self, command: CommandToSend, at: datetime, subject: str, position: int, refused: ServiceRefused | None
    ) -> None:
        """A row about a command that was recorded or refused."""
        self.rows.append(
            {
                "position": len(self.rows) + 1,
                "at": at.isoformat(),
                "action": ROUTES.get(command.verb, f"PUT /api/v1/orders/{{order_id}}/{command.verb}"),
                "outcome": "done" if refused is None else "refused",
                "caller": "home",
                "source": "127.0.0.1",
                "target": subject,
                "status": refused.status if refused else 201 if command.verb == "place" else 200,
                "problem": refused.code if refused else "",
                "event_position": position,
            }
        )

    def page(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """What `GET /api/v1/audit` answers."""
        if asked.get("outcome", "done") not in ("done", "refused", "failed"):
            raise ServiceRefused(400, "validation_failed", "outcome: must be done, refused or failed")
        before, limit = int(asked.get("before", len(self.rows) + 1)), int(asked.get("limit", 20))
        wanted = {name: asked[name] for name in ASKED if name in asked}
        older = [row for row in reversed(self.rows) if row["position"] < before]
        fitting = [row for row in older if all(row.get(name) == value for name, value in wanted.items())]
        rows = fitting[:limit]
        return {"rows": rows, "next_before": rows[-1]["position"] if fitting[limit:] else None, "head": len(self.rows)}
