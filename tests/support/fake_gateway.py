"""A gateway without a network: a small order desk in memory, whose clock, failures and replies a test decides."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal
from uuid import uuid5

import msgspec

from core.filters.order_query import OrderQuery
from tests.support.fake_audit import FakeAudit
from tests.support.fake_desk import SPACE, FakeDesk, event_json
from tests.support.fake_log import BY_NUMBER, log_page
from tests.support.fake_webhooks import FakeWebhooks
from tui.gateway import (
    NEWEST_FIRST,
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
from tui.viewmodels.audit import PATH as AUDIT
from tui.viewmodels.log_reader import PATH
from tui.viewmodels.statuses import legal
from tui.viewmodels.webhooks import LETTERS
from tui.viewmodels.webhooks import PATH as WEBHOOKS
from tui.wire import FieldProblem, OrderPage, WireEvent, WireOrder

EVENT_OF = {
    "confirm": "OrderConfirmed", "cancel": "OrderCancelled", "ship": "OrderShipped", "deliver": "OrderDelivered",
}  # fmt: skip


class FakeGateway(FakeDesk):
    where = "desk.test:8081"
    read_only = False

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, CommandAccepted] = {}
        self.sent: list[tuple[CommandToSend, str]] = []
        self.queries: list[OrderQuery] = []
        self.feeds_opened_after: list[int] = []
        self.commands_down: GatewayError | None = None
        self.queries_down: GatewayError | None = None
        self.health_down: GatewayError | None = None
        self.feed_down = False
        self.lose_answers = 0  # the number of commands that are recorded and then not answered
        self.hold: asyncio.Event | None = None  # `orders` answers when it is set
        self.lag = Health(0, 0, 0.0)
        self.page = PAGE
        self.answers: dict[str, Any] = {  # what `read` answers, by path
            "/api/v1/sagas": {"sagas": []},
            "/api/v1/sagas/summary": {"states": {}, "at_risk": {}},
            "/api/v1/orders": {"orders": []},
            "/api/v1/daemons": {"daemons": []},
        }
        self.reads: list[tuple[str, dict[str, str]]] = []
        self.steered: dict[str, GatewayError | Sequence[str]] = {}  # what a command to a saga records, by its verb
        self.audit = FakeAudit()
        self.webhooks = FakeWebhooks()
        self.dry_runs: list[CommandToSend] = []
        self.role = "admin"  # of the deck's key
        self._cut = 0

    # --- what a test does to it ---------------------------------------------------------------------------------------

    def cut_feed(self) -> None:
        """Every open feed breaks."""
        self._cut += 1
        for news in self._news:
            news.set()

    # --- the gateway --------------------------------------------------------------------------------------------------

    async def orders(
        self,
        query: OrderQuery,
        *,
        sort: str = NEWEST_FIRST,
        cursor: str | None = None,
        order_ids: Sequence[str] = (),
        limit: int | None = None,
    ) -> OrderPage:
        self.queries.append(query)
        hold = self.hold
        if hold is not None:
            await hold.wait()
        self._answering()
        orders = [o for o in self.views.values() if query.takes(o) and (not order_ids or o.order_id in order_ids)]
        by = sort.removeprefix("-")
        orders.sort(key=lambda o: (getattr(o, by), o.order_id), reverse=sort.startswith("-"))
        start, end = self._slice(cursor, [o.order_id for o in orders], limit or self.page)
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

    async def ask_for_commands(self) -> str:
        if self.commands_down is not None:
            raise self.commands_down
        return self.role

    async def health(self) -> Health:
        self._answering()
        if self.health_down is not None:
            raise self.health_down
        return replace(self.lag, head=len(self.log))

    async def read(
        self,
        path: str,
        shape: type[Shape],
        params: Mapping[str, str | Sequence[str]] | None = None,
        *,
        service: Literal["queries", "commands"] = "queries",
    ) -> Shape:
        self.reads.append((path, {name: str(value) for name, value in (params or {}).items()}))
        if service == "commands":
            await self.ask_for_commands()
            path = f"commands {path}"  # what the command API answers stands under this name in `answers`
        else:
            self._answering()
        if path == PATH and path not in self.answers:
            return msgspec.json.decode(json.dumps(log_page(self.log, self.reads[-1][1])), type=shape)
        if path == AUDIT and path not in self.answers:
            return msgspec.convert(self.audit.page(self.reads[-1][1]), shape)
        if path.startswith(WEBHOOKS) and path not in self.answers:
            return msgspec.convert(self.webhooks.read(path, self.reads[-1][1]), shape)
        if path == LETTERS and self.reads[-1][1].get("reader", "").startswith("notifier."):
            return msgspec.convert({"dead_letters": self.webhooks.letters}, shape)
        if path.startswith(BY_NUMBER):
            number = path.removeprefix(BY_NUMBER)
            found = [order for order in self.views.values() if order.order_number == number]
            if found:
                return msgspec.json.decode(msgspec.json.encode(found[0]), type=shape)
        if path not in self.answers:
            raise ServiceRefused(404, "not_found", f"there is no {path}")
        if isinstance(answer := self.answers[path], GatewayError):
            raise answer
        return msgspec.json.decode(json.dumps(answer), type=shape)

    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
        self.sent.append((command, key))
        if self.commands_down is not None:
            raise self.commands_down
        if command.kind == "webhook":
            return self.webhooks.act(command)
        if command.kind == "dead-letter":
            return CommandAccepted(command.subject_id or "", "1 done", 0, None)
        if command.kind == "saga":
            self._steer(command)
            return CommandAccepted(command.subject_id or "", "RESOLVED", 9, len(self.log))
        if key in self.keys:
            done = self.keys[key]
            return CommandAccepted(
                done.subject_id, done.status, done.version, done.position, done.order_number, replayed=True
            )
        try:
            event = self._decide(command)
        except ServiceRefused as refused:
            self.audit.note(command, self.time, command.subject_id or "", 0, refused)
            raise
        recorded = self.record("order", event[0], event[1], event[2])
        self.audit.note(command, self.time, event[0], recorded.position, None)
        view = self.views[event[0]]
        self.keys[key] = CommandAccepted(event[0], view.status, view.version, recorded.position, view.order_number)
        if self.lose_answers:
            self.lose_answers -= 1
            raise TimedOut("the answer was lost")
        return self.keys[key]

    async def dry_run(self, command: CommandToSend) -> Sequence[WireEvent]:
        self.dry_runs.append(command)
        if self.commands_down is not None:
            raise self.commands_down
        if command.kind == "saga":
            return [WireEvent(name, 0, command.subject_id or "", "saga", self.time, 1) for name in self._steer(command)]
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

    def _slice(self, cursor: str | None, ids: list[str], limit: int) -> tuple[int, int]:
        if cursor is None:
            return 0, min(limit, len(ids))
        side, _, order_id = cursor.partition(":")
        at = ids.index(order_id)
        if side == "after":
            return at + 1, min(at + 1 + limit, len(ids))
        return max(0, at - limit), at

    def _steer(self, command: CommandToSend) -> Sequence[str]:
        outcome = self.steered.get(command.verb, ("SagaSteered",))
        if isinstance(outcome, GatewayError):
            raise outcome
        return outcome

    def _decide(self, command: CommandToSend) -> tuple[str, str, dict[str, Any]]:
        if command.subject_id is None:
            self._check(command.body)
            order_id = str(uuid5(SPACE, f"placed-{len(self.log)}"))
            return order_id, "OrderCreated", self._created(order_id, f"ORD-NEW{len(self.log):07}", dict(command.body))
        status = self.views[command.subject_id].status
        if command.verb == "refund":
            return self._refund(command.subject_id, dict(command.body))
        if command.verb not in [t.verb for t in legal(status)]:
            raise ServiceRefused(400, "not_allowed", f"cannot {command.verb} an order that is {status}")
        return command.subject_id, EVENT_OF[command.verb], {"order_id": command.subject_id, **command.body}

    def _refund(self, order_id: str, body: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
        order = self.views[order_id]
        errors = list[FieldProblem]()
        if not re.fullmatch(r"[0-9]+(\.[0-9]{1,2})?", body["amount"]):
            errors.append(FieldProblem("amount", "must be an amount"))
        if not isinstance(body["restock"], bool):
            errors.append(FieldProblem("restock", "must be true, false or a list"))
        if errors:
            raise ServiceRefused(400, "validation_failed", "some fields are wrong", errors)
        if Decimal(body["amount"]) > order.captured_amount - order.refunded_amount:
            raise ServiceRefused(400, "not_allowed", "no more than was captured can be refunded")
        about = {"order_id": order_id, "refund_id": f"re-{len(self.log)}", "currency": order.currency}
        return order_id, "RefundRequested", {**about, **body, "restock": []}

    def _check(self, body: Any) -> None:
        errors = [FieldProblem("customer_id", "must not be blank")] if not body["customer_id"] else []
        for n, item in enumerate(body["items"]):
            if not isinstance(item["quantity"], int) or item["quantity"] < 1:
                errors.append(FieldProblem(f"items[{n}].quantity", "must be a whole number from 1 to 1000000"))
            if not item["sku"]:
                errors.append(FieldProblem(f"items[{n}].sku", "must not be blank"))
        if errors:
            raise ServiceRefused(400, "validation_failed", "some fields are wrong", errors)


def frame(event: dict[str, Any]) -> bytes:
    """An event as the stream sends it."""
    return f"id: {event['position']}\nevent: {event['event_type']}\ndata: ".encode() + event_json(event) + b"\n\n"
