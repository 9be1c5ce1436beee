"""A small order desk in memory, whose clock a test decides: it records events and keeps the views of its orders."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import msgspec

from tui.viewmodels.statuses import SHOWN, after_event, order_from
from tui.wire import WireEvent, WireOrder

START = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
SPACE = UUID("00000000-0000-7000-8000-000000000000")


def event_json(event: dict[str, Any]) -> bytes:
    return json.dumps(event, default=str).encode()


class FakeDesk:
    def __init__(self) -> None:
        self.time = START
        self.log: list[dict[str, Any]] = []
        self.views: dict[str, WireOrder] = {}
        self._versions = Counter[str]()
        self._news: set[asyncio.Event] = set()

    def passes(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def record(
        self, category: str, stream: str, event_type: str, payload: dict[str, Any], order_id: str = ""
    ) -> WireEvent:
        self._versions[stream] += 1
        self.time += timedelta(milliseconds=7)
        event = {
            "event_id": str(uuid5(SPACE, f"event-{len(self.log) + 1}")),
            "event_type": event_type,
            "event_version": 1,
            "aggregate_id": stream,
            "aggregate_type": category,
            "payload": payload,
            "metadata": {"correlation_id": order_id or stream, "user_id": "ada"},
            "timestamp": self.time.isoformat(),
            "version": self._versions[stream],
            "position": len(self.log) + 1,
        }
        self.log.append(event)
        wire_event = msgspec.json.decode(event_json(event), type=WireEvent)
        self._project(wire_event)
        for news in self._news:
            news.set()
        return wire_event

    def place(
        self, n: int = 0, *, quantity: int = 1, price: str = "999.99", customer: str = "", sku: str = "LAPTOP-001"
    ) -> str:
        order_id = str(uuid5(SPACE, f"order-{n}"))
        body = {
            "customer_id": customer or f"customer-{n % 7:03}",
            "items": [{"sku": sku, "quantity": quantity, "unit_price": price}],
            "currency": "USD",
            "payment_method": "card",
            "shipping_address": {
                "street": "123 Main St",
                "city": "San Francisco",
                "state": "CA",
                "zip": "94105",
                "country": "US",
            },
        }
        self.record("order", order_id, "OrderCreated", self._created(order_id, f"ORD-{n:010}", body))
        return order_id

    def fulfil(self, order_id: str, *, declined: bool = False) -> None:
        """Everything that fulfil_order records, with a pause before the provider answers."""
        saga, sku = str(uuid5(SPACE, "saga" + order_id)), self.views[order_id].items[0].sku
        stock, payment = str(uuid5(SPACE, sku)), str(uuid5(SPACE, "payment" + order_id))
        about = {"order_id": order_id, "sku": sku, "quantity": self.views[order_id].items[0].quantity}
        money = {"payment_id": payment, "order_id": order_id, "amount": str(self.views[order_id].total_amount)}
        money |= {"currency": "USD", "payment_method": "card", "authorization_code": "auth-1"}
        self.record("saga", saga, "SagaStarted", {"name": "fulfil_order", "order_id": order_id}, order_id)
        self.record("inventory", stock, "InventoryReserved", {**about, "reservation_id": saga}, order_id)
        self.record("saga", saga, "SagaStepCompleted", {"step": "reserve_inventory"}, order_id)
        self.passes(38)
        if declined:
            self.record("payment", payment, "PaymentFailed", {**money, "reason": "card_declined"}, order_id)
            self.record("saga", saga, "SagaCompensationStarted", {"reason": "card_declined"}, order_id)
            self.record("inventory", stock, "InventoryReleased", {**about, "reason": "card_declined"}, order_id)
            self.record("order", order_id, "OrderCancelled", {"order_id": order_id, "reason": "card_declined"})
            self.record("saga", saga, "SagaCompensated", {}, order_id)
        else:
            self.record("payment", payment, "PaymentAuthorized", money, order_id)
            self.record("order", order_id, "OrderConfirmed", {"order_id": order_id})
            self.record("saga", saga, "SagaCompleted", {}, order_id)

    def pay(self, order_id: str, event_type: str, amount: str, **payload: str) -> None:
        payment = str(uuid5(SPACE, "payment" + order_id))
        known = {"payment_id": payment, "order_id": order_id, "amount": amount, "currency": "USD"}
        self.record("payment", payment, event_type, known | payload, order_id)

    def ship(self, order_id: str) -> None:
        self.record("order", order_id, "OrderShipped", {"carrier": "UPS", "tracking_number": "1Z9"})
        self.pay(order_id, "PaymentCaptured", str(self.views[order_id].total_amount), transaction_id="tx-1")

    def refund(self, order_id: str, amount: str, reason: str = "sent back") -> None:
        self.pay(order_id, "PaymentRefunded", amount, refund_id=f"re-{len(self.log)}", reason=reason)

    def _wire_event(self, event: dict[str, Any]) -> WireEvent:
        return msgspec.json.decode(event_json(event), type=WireEvent)

    def _project(self, event: WireEvent) -> None:
        if event.event_type == "OrderCreated" and (order := order_from(event)) is not None:
            self.views[order.order_id] = order
        elif event.event_type in SHOWN and event.order_id in self.views:
            self.views[event.order_id] = after_event(self.views[event.order_id], event)

    def _created(self, order_id: str, number: str, body: dict[str, Any]) -> dict[str, Any]:
        body = {"currency": "USD", "payment_method": "card", **body}
        total = sum((Decimal(i["unit_price"]) * i["quantity"] for i in body["items"]), Decimal())
        created = (self.time + timedelta(milliseconds=7)).isoformat()
        return {"order_id": order_id, "order_number": number, **body, "total_amount": str(total), "created_at": created}
