"""The audit of a run: the answers to customers, the provider's charges and the stock are compared with the log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import asyncpg
import msgspec

from tests.chaos.answers import Answers
from tests.chaos.plan import Fate
from tests.support.customers import ENDS

DONE = {
    "place": "OrderCreated", "confirm": "OrderConfirmed", "cancel": "OrderCancelled", "ship": "OrderShipped",
    "deliver": "OrderDelivered",
}  # fmt: skip
STATUS = {DONE[verb]: status for verb, status in (
    ("place", "CREATED"), ("confirm", "CONFIRMED"), ("cancel", "CANCELLED"), ("ship", "SHIPPED"),
    ("deliver", "DELIVERED"),
)}  # fmt: skip
MONEY = {
    "CONFIRMED": {"AUTHORISED", "EXPIRED"}, "SHIPPED": {"CAPTURED"}, "DELIVERED": {"CAPTURED"},
    "CANCELLED": {None, "DECLINED", "VOIDED", "EXPIRED", "TOMBSTONE", "REFUNDED"},
}  # fmt: skip
READ = """
SELECT position, stream_id::text AS stream, category, version, event_id, event_type AS type, payload::text AS payload,
       metadata::text AS metadata, correlation_id::text AS correlation, recorded_at
  FROM events ORDER BY position
"""


@dataclass(frozen=True)
class Logged:
    position: int
    stream: str
    category: str
    version: int
    event_id: Any
    type: str
    payload: Mapping[str, Any]
    metadata: Mapping[str, Any]
    correlation: str
    recorded_at: Any


@dataclass
class Evidence:
    """What a run leaves behind: the log, the read models and the ledger of the provider."""

    log: Sequence[Logged]
    views: Mapping[str, str]
    levels: Mapping[str, tuple[int, int, int]]
    sold: int
    charges: Sequence[Mapping[str, Any]]
    streams: Mapping[str, Sequence[Logged]] = field(init=False)

    def __post_init__(self) -> None:
        streams: defaultdict[str, list[Logged]] = defaultdict(list)
        for event in self.log:
            streams[event.stream].append(event)
        self.streams = streams

    @property
    def statuses(self) -> dict[str, str]:
        """The status of every order, by its own stream."""
        return {
            stream: STATUS[events[-1].type] for stream, events in self.streams.items() if events[0].category == "order"
        }


async def gather(dsn: str, charges: Sequence[Mapping[str, Any]]) -> Evidence:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(READ)
        views = await connection.fetch("SELECT order_id::text, status FROM order_views")
        levels = await connection.fetch("SELECT sku, on_hand, reserved, available FROM inventory_levels")
        sold = await connection.fetchval("SELECT coalesce(sum(orders), 0) FROM daily_sales")
    finally:
        await connection.close()
    parse = msgspec.json.decode
    log = [Logged(**{**row, "payload": parse(row["payload"]), "metadata": parse(row["metadata"])}) for row in rows]
    return Evidence(log, dict(map(tuple, views)), {row[0]: tuple(row[1:]) for row in levels}, int(sold), charges)


def violations(answers: Answers, evidence: Evidence) -> list[str]:
    """All violations, a sentence for each."""
    checks = (_no_answer_is_wrong, _order, _commands, _sagas, _epochs, _money, _stock, _views)
    return [what for check in checks for what in check(answers, evidence)]


def _no_answer_is_wrong(answers: Answers, _: Evidence) -> Iterator[str]:
    yield from answers.wrong
    yield from (f"nobody answered: {what}" for what in answers.unanswered)
    for key, copies in answers.by_key.items():
        if len({(one.status, one.order_id, one.version) for one in copies}) > 1:
            yield f"the same key {key} was answered differently: {copies}"


def _order(_: Answers, evidence: Evidence) -> Iterator[str]:
    log = evidence.log
    if [event.position for event in log] != list(range(1, len(log) + 1)):
        yield "positions are not 1, 2, 3 …"
    if any(a.recorded_at > b.recorded_at for a, b in pairwise(log)):
        yield "time ran backwards"
    for stream, events in evidence.streams.items():
        if [event.version for event in events] != list(range(1, len(events) + 1)):
            yield f"the versions of stream {stream} are not 1, 2, 3 …"


def _commands(answers: Answers, evidence: Evidence) -> Iterator[str]:
    """An accepted command is in the log once, a refused one is not, and one without a final answer is at most once."""
    recorded: defaultdict[str, list[Logged]] = defaultdict(list)
    for event in evidence.log:
        if (key := event.metadata.get("request_id")) is not None:
            recorded[key].append(event)
    for key in answers.sent:
        found = recorded.pop(key, [])
        if len(found) > 1:
            yield f"{key} was recorded {len(found)} times: {[(event.type, event.stream) for event in found]}"
        for answer in answers.by_key.get(key, [])[:1]:
            if answer.status == 400 and found:
                yield f"{key} was refused, and is recorded at {found[0].position}"
            elif answer.status != 400 and not _is_there(answer.verb, answer.order_id, answer.version, evidence):
                yield f"{key} was acknowledged, and is not in the log"
            elif (
                answer.verb == "place"
                and answer.status != 400
                and [event.stream for event in found] != [answer.order_id]
            ):
                yield f"{key} was acknowledged as order {answer.order_id}, and is recorded as {found}"
    yield from (f"{key} is recorded, and nobody asked for it" for key in recorded)
    customers = Counter(event.payload["customer_id"] for event in evidence.log if event.type == "OrderCreated")
    yield from (f"{customer} has {count} orders, and placed one" for customer, count in customers.items() if count > 1)
    for wish in answers.sent.values():
        if wish.fate is Fate.NONSENSE and wish.customer in customers:
            yield f"{wish.customer} ordered nothing, and has an order"


def _is_there(verb: str, order_id: str, version: int | None, evidence: Evidence) -> bool:
    """Whether the order's stream has the command's event exactly once up to the version that was answered."""
    kinds = [event.type for event in evidence.streams.get(order_id, ())[:version]]
    return len(kinds) == version and kinds.count(DONE[verb]) == 1


def _sagas(_: Answers, evidence: Evidence) -> Iterator[str]:
    wanted = {"OrderCreated": 0, "OrderShipped": 0}
    started = Counter[str]()
    for stream, events in evidence.streams.items():
        if events[0].category == "saga":
            name = events[0].payload["name"]
            started[name] += 1
            if events[-1].type not in ENDS or events[-1].type == "SagaFailed":
                yield f"{name} {stream} of order {events[0].correlation} stands at {events[-1].type}"
        for event in events:
            if event.type in wanted:
                wanted[event.type] += 1
    for name, kind in (("fulfil_order", "OrderCreated"), ("settle_order", "OrderShipped")):
        if started[name] != wanted[kind]:
            yield f"{wanted[kind]} {kind}, and {started[name]} sagas {name}"


def _epochs(_: Answers, evidence: Evidence) -> Iterator[str]:
    """No event of a saga was written under an older lease than the event before it."""
    for stream, events in evidence.streams.items():
        epochs = [event.metadata["epoch"] for event in events if event.metadata.get("epoch") is not None]
        if events[0].category == "saga" and epochs != sorted(epochs):
            yield f"saga {stream} was written under the leases {epochs}"


def _money(_: Answers, evidence: Evidence) -> Iterator[str]:
    ledger: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for charge in evidence.charges:
        ledger[charge["order_id"]].append(charge)
    created = {event.stream: event.payload for event in evidence.log if event.type == "OrderCreated"}
    for order, status in evidence.statuses.items():
        held = ledger[order]
        states = [charge["state"] for charge in held] or [None]
        if len(states) > 1 or states[0] not in MONEY.get(status, ()):
            yield f"order {order} is {status}, and the provider has {states}"
            continue
        total = Decimal(str(created[order]["total_amount"]))
        amounts = {Decimal(str(charge["authorised"])) for charge in held if charge["state"] != "DECLINED"}
        if amounts - {total}:
            yield f"order {order} is about {total}, and the provider has {amounts}"
    for order in ledger.keys() - created.keys() - {"", None}:
        yield f"the provider has a charge of order {order}, which is not in the log"


def _stock(_: Answers, evidence: Evidence) -> Iterator[str]:
    """Received = available + reserved + shipped, never negative, and stock is reserved only for confirmed orders."""
    for stream, events in evidence.streams.items():
        if events[0].category != "inventory":
            continue
        sku, on_hand, open_ = events[0].payload["sku"], 0, dict[str, tuple[str, int]]()
        for event in events:
            payload = event.payload
            match event.type:
                case "StockReplenished":
                    on_hand += payload["quantity"]
                case "InventoryReserved":
                    if payload["reservation_id"] in open_:
                        yield f"{sku} is reserved twice for order {payload['order_id']}"
                    open_[payload["reservation_id"]] = (payload["order_id"], payload["quantity"])
                case "InventoryReleased" | "InventoryShipped":
                    if open_.pop(payload["reservation_id"], None) != (payload["order_id"], payload["quantity"]):
                        yield f"{event.type} of {sku} for order {payload['order_id']} was not reserved"
                    on_hand -= payload["quantity"] if event.type == "InventoryShipped" else 0
                case _:
                    pass
            if on_hand < sum(quantity for _, quantity in open_.values()):
                yield f"more of {sku} is promised than there is, at version {event.version} of {stream}"
        wrong = [order for order, _ in open_.values() if evidence.statuses[order] != "CONFIRMED"]
        if wrong:
            yield f"{sku} is still reserved for {wrong}"
        reserved = sum(quantity for _, quantity in open_.values())
        if evidence.levels.get(sku) != (on_hand, reserved, on_hand - reserved):
            yield f"{sku}: the log says {(on_hand, reserved, on_hand - reserved)}, its level {evidence.levels.get(sku)}"


def _views(_: Answers, evidence: Evidence) -> Iterator[str]:
    if evidence.views != evidence.statuses:
        differ = {order for order, _ in evidence.views.items() ^ evidence.statuses.items()}
        yield f"{len(differ)} order views differ from the log: {sorted(differ)[:3]}"
    if evidence.sold != len(evidence.statuses):
        yield f"the daily sales count {evidence.sold} orders, the log {len(evidence.statuses)}"
