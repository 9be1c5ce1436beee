"""A server for the deck alone: a million orders that exist only as numbers, and as many events a second as it is told.

`python -m bench.deck_server PORT` runs until it is ended; `POST /rate/20000` sets the events a second. It stands in for
both APIs, so that the deck is measured and no database.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

ORDERS = 1_000_000
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_BEAT = 0.02  # seconds between two batches of events
_STEPS = ("OrderCreated", "SagaStarted", "InventoryReserved", "PaymentAuthorized", "OrderConfirmed", "SagaCompleted")


class Desk:
    """`head` is the position of the last event; `rate` is how many come in a second."""

    def __init__(self) -> None:
        self.head = 1_000_000
        self.rate = 0


def order_id(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


def order(number: int) -> dict[str, Any]:
    at = (_BEGAN + timedelta(seconds=number)).isoformat()
    return {
        "order_id": order_id(number),
        "order_number": f"ORD-{number:010}",
        "customer_id": f"customer-{number % 977:03}",
        "status": "CONFIRMED",
        "items": [{"sku": "LAPTOP-001", "quantity": 1 + number % 3, "unit_price": "999.99"}],
        "total_amount": "999.99",
        "currency": "USD",
        "created_at": at,
        "updated_at": at,
        "version": 2,
        "payment_status": "AUTHORIZED",
        "authorized_amount": "999.99",
    }


def saga(number: int) -> dict[str, Any]:
    return {
        "saga_id": order_id(number),
        "name": "fulfil_order",
        "order_id": order_id(number),
        "order_number": f"ORD-{number:010}",
        "status": "RUNNING",
        "state": "running",
        "step": "authorize_payment",
        "started_at": (_BEGAN + timedelta(seconds=number)).isoformat(),
        "steps": {"reserve_inventory": "DONE", "authorize_payment": "RUNNING"},
        "lanes": [{"step": "reserve_inventory", "does": "reserve", "undo": "release", "status": "DONE"}],
    }


def event(position: int) -> bytes:
    """A frame of the live stream. Six events are about one new order each."""
    name, subject = _STEPS[position % len(_STEPS)], order_id(ORDERS + position // len(_STEPS))
    category = "order" if name.startswith("Order") else "saga"
    payload = f'{{"order_id":"{subject}","order_number":"ORD-{position:010}","customer_id":"c","currency":"USD"}}'
    return (
        f"id: {position}\nevent: {name}\ndata: "
        f'{{"event_id":"{subject}","event_type":"{name}","event_version":1,"aggregate_id":"{subject}",'
        f'"aggregate_type":"{category}","payload":{payload},"metadata":{{"correlation_id":"{subject}"}},'
        f'"timestamp":"2026-03-14T09:26:53.000000+00:00","version":1,"position":{position}}}\n\n'
    ).encode()


def orders(query: dict[str, list[str]]) -> dict[str, Any]:
    if "order_id" in query:
        return {"orders": [order(int(each[-12:], 16)) for each in query["order_id"]], "total": ORDERS}
    limit, oldest_first = int(query.get("limit", ["100"])[0]), query.get("sort", [""])[0] == "created_at"
    start = int(query.get("cursor", ["0"])[0])
    ranks = range(start, min(ORDERS, start + limit))
    page = [order(rank if oldest_first else ORDERS - 1 - rank) for rank in ranks]
    following = str(start + limit) if start + limit < ORDERS else None
    before = str(max(0, start - limit)) if start else None
    return {"orders": page, "total": ORDERS, "next_cursor": following, "prev_cursor": before}


def answer(desk: Desk, path: str, query: dict[str, list[str]]) -> dict[str, Any] | None:
    match path.strip("/").split("/"):
        case ["health"]:
            return {"status": "ok"}
        case ["rate", number]:
            desk.rate = int(number)
            return {}
        case ["api", "v1", "projections"]:
            reader = {"name": "orders", "position": desk.head, "lag": {"events": 0, "seconds": 0.0}}
            return {"head": desk.head, "readers": [reader], "projections": [reader]}
        case ["api", "v1", "orders"]:
            return orders(query)
        case ["api", "v1", "orders", one]:
            return order(int(one[-12:], 16))
        case ["api", "v1", "orders", one, "timeline"]:
            first = (int(one[-12:], 16) - ORDERS) * len(_STEPS)
            return {"events": [json.loads(event(first + n).split(b"data: ")[1]) for n in range(6 if first > 0 else 0)]}
        case ["api", "v1", "events"]:
            return {"events": []}
        case ["api", "v1", "daemons"]:
            return {"daemons": []}
        case ["api", "v1", "sagas"]:
            start = int(query.get("cursor", ["0"])[0])
            return {"sagas": [saga(desk.head - start - n) for n in range(50)], "next_cursor": str(start + 50)}
        case ["api", "v1", "sagas", "summary"]:
            return {"states": {"running": desk.rate}, "statuses": {}, "money_open": {}}
        case ["api", "v1", "sagas", one]:
            return saga(int(one[-12:], 16))
        case _:
            return None


async def stream(desk: Desk, writer: asyncio.StreamWriter, after: int) -> None:
    """Events from `after` on; a reader that is too slow is waited for, and misses none."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: open\n\n")
    sent = max(after, desk.head - 100)
    while True:
        batch = range(sent + 1, desk.head + 1)[:2_000]
        writer.write(b"".join(map(event, batch)) or b": idle\n\n")
        await writer.drain()
        sent += len(batch)
        await asyncio.sleep(0 if sent < desk.head else _BEAT if desk.rate else 0.25)


async def serve(port: int) -> None:
    desk = Desk()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = urlsplit(head.split(b" ", 2)[1].decode())
                if target.path.endswith("/events/stream"):
                    wanted = [line for line in head.lower().split(b"\r\n") if line.startswith(b"last-event-id:")]
                    await stream(desk, writer, int(wanted[0].split(b":")[1]) if wanted else 0)
                found = answer(desk, target.path, parse_qs(target.query))
                body = json.dumps(found or {"title": "Not Found", "code": "not_found"}).encode()
                status = b"404 Not Found" if found is None else b"200 OK"
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def tick() -> None:
        made, since, rate = 0.0, time.perf_counter(), 0
        while True:
            await asyncio.sleep(_BEAT)
            now = time.perf_counter()
            if rate != desk.rate:
                made, since, rate = 0.0, now, desk.rate
            due = rate * (now - since)
            desk.head += int(due) - int(made)
            made = due

    async with await asyncio.start_server(one, "127.0.0.1", port):
        await tick()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
