"""A desk in memory on which one of each kind of thing needs a person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.support.fake_gateway import FakeGateway
from tui.gateway import CommandAccepted, CommandToSend

WHY = "the payment provider answered 503"


def saga(n: int, state: str, amount: str | None, now: datetime, **other: Any) -> dict[str, Any]:
    status = {"failed": "FAILED", "expiring": "COMPLETED"}.get(state, "RUNNING")
    items = [f"{amount} EUR may be authorised", "2 x LAPTOP-001 may be held"] if amount else []
    minutes = now - timedelta(minutes=n)
    return {
        "saga_id": f"5a6a0000-0000-4000-8000-{n:012}",
        "name": "unwind_order",
        "order_id": f"0de50000-0000-4000-8000-{n:012}",
        "order_number": f"ORD-TROUBLE{n:03}",
        "status": status,
        "state": state,
        "step": "void_payment",
        "attempts": 10,
        "last_error": WHY,
        "started_at": minutes.isoformat(),
        "updated_at": minutes.isoformat(),
        "next_attempt_at": None if state == "failed" else (now + timedelta(seconds=8)).isoformat(),
        "authorization_ends_at": (now + timedelta(hours=3)).isoformat() if state == "expiring" else None,
        "at_risk": int(float(amount) * 100) if amount else 0,
        "open": {
            "money": {"amount": amount, "currency": "EUR"} if amount else None,
            "stock": [{"sku": "LAPTOP-001", "quantity": 2}] if amount else [],
            "items": items,
        },
    } | other  # fmt: skip


class TroubledDesk(FakeGateway):
    """A saga that is resolved is no longer among those that need a person."""

    def __init__(self, *sagas: dict[str, Any], orders: int = 0) -> None:
        super().__init__()
        for n in range(orders):
            self.place(n)
        self.show(*sagas)

    def show(self, *sagas: dict[str, Any]) -> None:
        self.answers["/api/v1/sagas"] = {"sagas": list(sagas)}

    def everything(self) -> None:
        """One of each kind."""
        now = self.time
        self.show(
            saga(1, "failed", "129.00", now),
            saga(2, "retrying", "40.00", now),
            saga(3, "overdue", None, now, last_error=None),
            saga(4, "expiring", "49.00", now),
            saga(
                5,
                "waiting",
                "10.00",
                now,
                last_error="too many calls to the payment provider are under way",
                attempts=0,
            ),
            saga(6, "waiting", "10.00", now, last_error=None, attempts=0),
        )
        self.answers["/api/v1/orders"] = {
            "total": 1,
            "orders": [
                {
                    "order_id": "unpaid", "order_number": "ORD-UNPAID0001", "customer_id": "acme", "status": "SHIPPED",
                    "payment_status": "UNPAID", "total_amount": "75.00", "authorized_amount": "75.00",
                    "currency": "USD", "created_at": now.isoformat(), "updated_at": now.isoformat(), "version": 3,
                }
            ],
        }  # fmt: skip
        self.answers["/api/v1/daemons"] = {
            "daemons": [
                {"name": "postgres", "answers": True, "ready": True},
                {"name": "saga-runner", "answers": False, "ready": False, "reason": "does not answer at :9102"},
                {"name": "query-api", "answers": True, "ready": False, "reason": "the database is away"},
                {
                    "name": "projector", "answers": True, "ready": True,
                    "readers": [{"name": "projector.orders", "lag": {"events": 4100, "seconds": 12.0}}],
                },
            ]
        }  # fmt: skip

    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
        accepted = await super().send(command, key=key)
        if command.kind == "saga":
            left = [row for row in self.answers["/api/v1/sagas"]["sagas"] if row["saga_id"] != command.subject_id]
            self.show(*left)
            self.record("saga", command.subject_id or "", "SagaResolved", {}, "o")
        return accepted
