"""The customer of the demo, who places orders, gives commands on them, and prints their timelines as they grow."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx

from daemons.cli.output import say

LIMIT = 60.0  # seconds within which an event that a scene waits for has to come
PAUSE = 0.05  # seconds between two looks
ADDRESS = {"street": "1 Market St", "city": "San Francisco", "state": "CA", "zip": "94105", "country": "US"}
DETAILS = ("tracking_number", "reason", "sku", "quantity", "requested", "available", "amount", "authorization_code")
DETAILS_OF_SAGAS = ("step", "error", "reason")
ENDS = {"SagaCompleted", "SagaCompensated", "SagaFailed"}


class DemoFailed(Exception):
    """An order of the demo did not come to the expected end; the text says what was expected and what came."""


@dataclass(frozen=True)
class DemoCustomer:
    """Sends commands and queries for one scene; `orders` are those it has placed."""

    commands: httpx.Client
    queries: httpx.Client
    orders: list[DemoOrder] = field(default_factory=list["DemoOrder"])

    def place(
        self, sku: str, *, lines: int = 1, quantity: int = 1, price: str = "24.50", method: str = "card"
    ) -> DemoOrder:
        items = [{"product_id": sku, "sku": sku, "quantity": quantity, "unit_price": price}] * lines
        body = {"customer_id": "demo", "items": items, "shipping_address": ADDRESS, "payment_method": method}
        answer = self.command("POST", "/api/v1/orders", body)
        say(f"   {answer['order_number']}: {lines * quantity} x {sku} at {price}, paid by {method}")
        order = DemoOrder(self, answer["order_id"], answer["order_number"], lines * quantity * Decimal(price))
        self.orders.append(order)
        return order

    def command(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a command until it is answered without Retry-After; all tries have one key, so it is executed once."""
        key = str(uuid.uuid4())
        deadline = time.monotonic() + LIMIT
        while True:
            answer = self.commands.request(method, path, json=body or None, headers={"Idempotency-Key": key})
            if "retry-after" not in answer.headers or time.monotonic() > deadline:
                break
            time.sleep(PAUSE)
        if answer.is_error:
            raise DemoFailed(f"{method} {path} answered {answer.status_code}: {answer.text}")
        return answer.json()


@dataclass
class DemoOrder:
    """One order under way, and how much of its timeline was printed."""

    customer: DemoCustomer
    id: str
    number: str
    total: Decimal
    sagas: dict[str, str] = field(default_factory=dict[str, str])  # the names of its sagas by their ids
    happened: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])  # whose event, and its type
    printed: int = 0  # events
    version: int = 0  # of the order's own stream, at the last event that was printed
    began: datetime | None = None

    def command(self, verb: str, **body: str) -> None:
        """Confirm, cancel, ship or deliver the order by hand."""
        self.customer.command("PUT", f"/api/v1/orders/{self.id}/{verb}", body)

    def follow(self, whose: str, event_type: str) -> None:
        follow([self], whose, event_type)

    def has_come_to(self, whose: str, event_type: str) -> bool:
        """Whether this event, of the order or saga, was printed; raises DemoFailed when the saga ended otherwise."""
        if (whose, event_type) in self.happened:
            return True
        if other := [end for saga, end in self.happened if saga == whose and end in ENDS]:
            raise DemoFailed(f"{self.number}: {whose} ended with {other[0]}, expected {event_type}")
        return False

    def expect(self, status: str, *event_types: str) -> None:
        """Raise DemoFailed unless the order has this status and events of all these types were printed."""
        types = {event_type for _, event_type in self.happened}
        missing = [event_type for event_type in event_types if event_type not in types]
        if self.status() != status or missing:
            raise DemoFailed(f"{self.number} is {self.status()}, expected {status} with {', '.join(event_types)}")

    def status(self) -> str:
        """The order's status after the last printed event, which the read model may reach a moment later."""
        path = f"/api/v1/orders/{self.id}?min_version={self.version}&wait=10"
        return str(self.customer.queries.get(path, timeout=15).raise_for_status().json()["status"])

    def waits_for(self) -> str:
        """The last error of its saga, which says what it waits for or has failed at; empty while it goes on."""
        answer = self.customer.queries.get("/api/v1/sagas", params={"order_id": self.id}).raise_for_status()
        return next((saga["last_error"] or "" for saga in answer.json()["sagas"]), "")

    def look(self, name: str = "") -> None:
        """Print the new events of its timeline, each line beginning with this name."""
        answer = self.customer.queries.get(f"/api/v1/orders/{self.id}/timeline")
        # Numbers stay the texts they are: a float could change an amount.
        events: list[dict[str, Any]] = json.loads(answer.text, parse_float=str)["events"] if answer.is_success else []
        for event in events[self.printed :]:
            if event["event_type"] == "SagaStarted":
                self.sagas[event["aggregate_id"]] = event["payload"]["name"]
            whose = self.sagas.get(str(event["aggregate_id"]), str(event["aggregate_type"]))
            self.happened.add((whose, event["event_type"]))
            if event["aggregate_type"] == "order":
                self.version = event["version"]
            at = datetime.fromisoformat(event["timestamp"])
            self.began = self.began or at
            of_saga = event["aggregate_type"] == "saga"
            say(_line(event, whose, (at - self.began).total_seconds(), name), dim=of_saga)
        self.printed = max(self.printed, len(events))


def follow(orders: Sequence[DemoOrder], whose: str, event_type: str) -> None:
    """Print the timelines of these orders until each has an event of this type.

    `whose` says whose event it is: "order", or the name of a saga.
    """
    deadline = time.monotonic() + LIMIT
    while True:
        for order in orders:
            order.look(order.number if len(orders) > 1 else "")
        late = [order for order in orders if not order.has_come_to(whose, event_type)]
        if not late:
            return
        if time.monotonic() > deadline:
            raise DemoFailed(f"{late[0].number}: no {event_type} of {whose} within {LIMIT:.0f} s")
        time.sleep(PAUSE)


def _line(event: dict[str, Any], whose: str, seconds: float, name: str) -> str:
    """A line of the timeline: events of sagas are indented and dim, all others are not."""
    of_saga = event["aggregate_type"] == "saga"
    payload = event["payload"]
    details = "  ".join(str(payload[name]) for name in (DETAILS_OF_SAGAS if of_saga else DETAILS) if payload.get(name))
    begin = f"   {name}{seconds:8.3f} s  "
    if of_saga:
        return f"{begin}    {whose:<13} {event['event_type'].removeprefix('Saga'):<20} {details}"
    return f"{begin}{event['event_type']:<27}{'':13}{details}"
