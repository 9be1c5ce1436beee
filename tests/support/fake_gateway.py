"""A gateway without a network: a small order desk in memory, whose clock, failures and replies a test decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import msgspec

from tui.gateway import (
    PAGE,
    CommandAccepted,
    CommandToSend,
    GatewayError,
    Health,
    ServiceRefused,
    Shape,
    TimedOut,
    Unreachable,
)
from tui.viewmodels.filters import OrderQuery
from tui.viewmodels.statuses import SHOWN, after_event, legal, order_from
from tui.wire import FieldProblem, OrderPage, WireEvent, WireOrder

START = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
SPACE = UUID("00000000-0000-7000-8000-000000000000")
EVENT_OF = {
    "confirm": "OrderConfirmed", "cancel": "OrderCancelled", "ship": "OrderShipped", "deliver": "OrderDelivered",
}  # fmt: skip


def event_json(event: dict[str, Any]) -> bytes:
    return json.dumps(event, default=str).encode()


class FakeGateway:
    where = "desk.test:8081"

    def __init__(self) -> None:
        self.time = START
        self.log: list[dict[str, Any]] = []
        self.views: dict[str, WireOrder] = {}
        self.keys: dict[str, CommandAccepted] = {}
        self.sent: list[tuple[CommandToSend, str]] = []
        self.queries: list[OrderQuery] = []
        self.feeds_opened_after: list[int] = []
        self.commands_down: GatewayError | None = None
        self.queries_down: GatewayError | None = None
        self.feed_down = False
        self.lose_answers = 0  # the number of commands that are recorded and then not answered
        self.hold: asyncio.Event | None = None  # `orders` answers when it is set
        self.lag = Health(0, 0, 0.0)
        self.page = PAGE
        self.answers: dict[str, Any] = {}  # what `read` answers, by path
        self.reads: list[tuple[str, dict[str, str]]] = []
        self._news: set[asyncio.Event] = set()
        self._cut = 0

    # --- what a test does to it ---------------------------------------------------------------------------------------

    def passes(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def record(
        self, category: str, stream: str, event_type: str, payload: dict[str, Any], order_id: str = ""
    ) -> WireEvent:
        version = 1 + sum(1 for e in self.log if e["aggregate_id"] == stream)
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
            "version": version,
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

    def cut_feed(self) -> None:
        """Every open feed breaks."""
        self._cut += 1
        for news in self._news:
            news.set()

    # --- the gateway --------------------------------------------------------------------------------------------------

    async def orders(self, query: OrderQuery, *, cursor: str | None = None, oldest_first: bool = False) -> OrderPage:
        self.queries.append(query)
        hold = self.hold
        if hold is not None:
            await hold.wait()
        self._answering()
        orders = [o for o in self.views.values() if query.takes(o)]
        orders.sort(key=lambda o: o.created_at, reverse=not oldest_first)
        start, end = self._slice(cursor, [o.order_id for o in orders])
        return OrderPage(
            orders=tuple(orders[start:end]),
            next_cursor=f"after:{orders[end - 1].order_id}" if end < len(orders) else None,
            prev_cursor=f"before:{orders[start].order_id}" if start > 0 else None,
            total=len(orders),
        )

    async def order(self, order_id: str, *, min_version: int | None = None, wait: float | None = None) -> WireOrder:
        assert (min_version is None) == (wait is None)
        self._answering()
        if order_id not in self.views:
            raise ServiceRefused(404, "not_found", f"there is no order {order_id}")
        if self.views[order_id].version < (min_version or 0):
            raise ServiceRefused(409, "conflict", "the order is not at that version")
        return self.views[order_id]

    async def timeline(self, order_id: str) -> list[WireEvent]:
        self._answering()
        return [e for e in map(self._wire_event, self.log) if e.metadata.correlation_id == order_id]

    async def health(self) -> Health:
        self._answering()
        return Health(len(self.log), self.lag.lag_events, self.lag.lag_seconds)

    async def read(self, path: str, shape: type[Shape], params: Mapping[str, str] | None = None) -> Shape:
        self.reads.append((path, dict(params or {})))
        self._answering()
        if path not in self.answers:
            raise ServiceRefused(404, "not_found", f"there is no {path}")
        return msgspec.json.decode(json.dumps(self.answers[path]), type=shape)

    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
        self.sent.append((command, key))
        if self.commands_down is not None:
            raise self.commands_down
        if key in self.keys:
            done = self.keys[key]
            return CommandAccepted(
                done.order_id, done.status, done.version, done.position, done.order_number, replayed=True
            )
        event = self._decide(command)
        recorded = self.record("order", event[0], event[1], event[2])
        view = self.views[event[0]]
        self.keys[key] = CommandAccepted(event[0], view.status, view.version, recorded.position, view.order_number)
        if self.lose_answers:
            self.lose_answers -= 1
            raise TimedOut("the answer was lost")
        return self.keys[key]

    async def dry_run(self, command: CommandToSend) -> Sequence[WireEvent]:
        if self.commands_down is not None:
            raise self.commands_down
        stream, event_type, payload = self._decide(command)
        payload |= {"order_number": ""} if event_type == "OrderCreated" else {}
        raw = msgspec.Raw(event_json(payload))
        return [WireEvent(event_type, 0, stream, "order", self.time, 1, payload=raw)]

    async def feed(self, *, after: int) -> AsyncGenerator[bytes, None]:
        if self.feed_down:
            raise Unreachable("desk.test does not answer")
        if after > len(self.log):
            raise ServiceRefused(400, "validation_failed", "after: is beyond the head of the log")
        self.feeds_opened_after.append(after)
        cut, news = self._cut, asyncio.Event()
        self._news.add(news)
        try:
            yield b""
            while cut == self._cut:
                news.clear()
                fresh = self.log[after:]
                after = len(self.log)
                if fresh:
                    yield b"".join(frame(event) for event in fresh)
                if cut == self._cut:
                    await news.wait()
            raise TimedOut("the connection broke")
        finally:
            self._news.discard(news)

    async def close(self) -> None:
        pass

    # --- how it decides -----------------------------------------------------------------------------------------------

    def _answering(self) -> None:
        if self.queries_down is not None:
            raise self.queries_down

    def _slice(self, cursor: str | None, ids: list[str]) -> tuple[int, int]:
        if cursor is None:
            return 0, min(self.page, len(ids))
        side, _, order_id = cursor.partition(":")
        at = ids.index(order_id)
        if side == "after":
            return at + 1, min(at + 1 + self.page, len(ids))
        return max(0, at - self.page), at

    def _wire_event(self, event: dict[str, Any]) -> WireEvent:
        return msgspec.json.decode(event_json(event), type=WireEvent)

    def _project(self, event: WireEvent) -> None:
        if event.event_type == "OrderCreated" and (order := order_from(event)) is not None:
            self.views[order.order_id] = order
        elif event.event_type in SHOWN and event.order_id in self.views:
            self.views[event.order_id] = after_event(self.views[event.order_id], event)

    def _decide(self, command: CommandToSend) -> tuple[str, str, dict[str, Any]]:
        if command.order_id is None:
            self._check(command.body)
            order_id = str(uuid5(SPACE, f"placed-{len(self.log)}"))
            return order_id, "OrderCreated", self._created(order_id, f"ORD-NEW{len(self.log):07}", dict(command.body))
        status = self.views[command.order_id].status
        if command.verb not in [t.verb for t in legal(status)]:
            raise ServiceRefused(400, "not_allowed", f"cannot {command.verb} an order that is {status}")
        return command.order_id, EVENT_OF[command.verb], {"order_id": command.order_id, **command.body}

    def _check(self, body: Any) -> None:
        errors = [FieldProblem("customer_id", "must not be blank")] if not body["customer_id"] else []
        for n, item in enumerate(body["items"]):
            if not isinstance(item["quantity"], int) or item["quantity"] < 1:
                errors.append(FieldProblem(f"items[{n}].quantity", "must be a whole number from 1 to 1000000"))
            if not item["sku"]:
                errors.append(FieldProblem(f"items[{n}].sku", "must not be blank"))
        if errors:
            raise ServiceRefused(400, "validation_failed", "some fields are wrong", errors)

    def _created(self, order_id: str, number: str, body: dict[str, Any]) -> dict[str, Any]:
        body = {"currency": "USD", "payment_method": "card", **body}
        total = sum((Decimal(i["unit_price"]) * i["quantity"] for i in body["items"]), Decimal())
        created = (self.time + timedelta(milliseconds=7)).isoformat()
        return {"order_id": order_id, "order_number": number, **body, "total_amount": str(total), "created_at": created}


def frame(event: dict[str, Any]) -> bytes:
    """An event as the stream sends it."""
    return f"id: {event['position']}\nevent: {event['event_type']}\ndata: ".encode() + event_json(event) + b"\n\n"
