"""Bulk: one command for many orders, which are frozen, tried without effect, counted, and sent one by one."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from core.filters.order_query import OrderQuery
from tui.gateway import CommandToSend, Gateway, GatewayError
from tui.receipts import settle
from tui.viewmodels.not_let_in import is_of_the_key
from tui.viewmodels.text import money
from tui.wire import WireOrder

MOST_ORDERS = 10_000  # in one bulk command
AT_ONCE = 4  # dry runs that are under way at the same time

Outcome = Literal["waiting", "would be done", "would be refused", "done", "refused", "failed"]


class TooMany(Exception):
    """More orders match than one bulk command takes."""


class BulkOrder(NamedTuple):
    """As much of an order as a bulk command needs, as it was when the command was asked for."""

    order_id: str
    number: str
    amount: Decimal
    currency: str

    @classmethod
    def of(cls, order: WireOrder) -> BulkOrder:
        return cls(order.order_id, order.order_number, order.total_amount, order.currency)


async def matching(gateway: Gateway, query: OrderQuery) -> AsyncGenerator[list[BulkOrder]]:
    """Every order that matches now, page by page. Raises TooMany before the page that would be too many."""
    cursor, count = None, 0
    while True:
        page = await gateway.orders(query, cursor=cursor)
        count += len(page.orders)
        if count > MOST_ORDERS:
            raise TooMany(f"more than {MOST_ORDERS:,} orders match: narrow the filter")
        yield [BulkOrder.of(order) for order in page.orders]
        cursor = page.next_cursor
        if cursor is None:
            return


@dataclass
class Bulk:
    """`run` can be called again after it was stopped: what is done is left out, and keys keep each order's command one.

    `why` says, for each order that was or would be refused, the reason.
    """

    gateway: Gateway
    verb: str
    body: Mapping[str, Any]
    orders: Sequence[BulkOrder]
    outcomes: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    why: dict[str, str] = field(default_factory=dict[str, str])
    stopped: bool = False
    name: str = field(default_factory=lambda: str(uuid.uuid4()))

    async def rehearse(self) -> None:
        """Try every order without effect, several at a time."""
        waiting = iter(self.orders)
        await asyncio.gather(*(self._rehearse_each(waiting) for _ in range(AT_ONCE)))

    async def _rehearse_each(self, waiting: Iterable[BulkOrder]) -> None:
        for order in waiting:
            if self.stopped:
                return
            try:
                events = await self.gateway.dry_run(self._command(order))
            except GatewayError as error:
                if is_of_the_key(error):
                    raise  # so would be all others, and each would be a row of the audit
                self._note(order, "would be refused", str(error))
            else:
                nothing = "it would change nothing: it is done already"
                self._note(order, "would be done" if events else "would be refused", "" if events else nothing)

    async def run(self, *, stop_at_failure: bool) -> None:
        """Send the command for every order whose dry run was fine, one after another."""
        self.stopped = False
        for order in self.orders:
            if self.outcomes.get(order.order_id) not in ("would be done", "failed"):
                continue
            if self.stopped:
                return
            try:
                await settle(self.gateway, self._command(order), f"deck-bulk-{self.name}-{order.order_id}")
            except GatewayError as error:
                refused = getattr(error, "status", 0) not in (0, 429, 503)
                self._note(order, "refused" if refused else "failed", str(error))
                self.stopped = stop_at_failure or is_of_the_key(error)
            else:
                self._note(order, "done", "")

    def _command(self, order: BulkOrder) -> CommandToSend:
        return CommandToSend(self.verb, order.order_id, self.body)

    def _note(self, order: BulkOrder, outcome: Outcome, why: str) -> None:
        self.outcomes[order.order_id] = outcome
        self.why.pop(order.order_id, None)
        if why:
            self.why[order.order_id] = why

    def those(self, *outcomes: Outcome) -> list[BulkOrder]:
        return [order for order in self.orders if self.outcomes.get(order.order_id, "waiting") in outcomes]

    def reasons(self) -> list[tuple[str, int]]:
        """The reasons against orders, the most frequent first."""
        return Counter(self.why.values()).most_common()

    def report(self) -> list[str]:
        """What became of each order, a line each, those that were not done first."""
        rank = {"failed": 0, "refused": 1, "would be refused": 2, "would be done": 3, "waiting": 3, "done": 4}
        said = [(self.outcomes.get(order.order_id, "waiting"), order) for order in self.orders]
        return [
            f"{order.number}  {order.order_id}  {'not sent' if rank[outcome] == 3 else outcome}  "
            f"{self.why.get(order.order_id, '')}".rstrip()
            for outcome, order in sorted(said, key=lambda each: rank[each[0]])
        ]


def sums(orders: Iterable[BulkOrder]) -> str:
    """`129.00 EUR + 5.00 USD`: the totals of the orders, by currency."""
    totals: dict[str, Decimal] = {}
    for order in orders:
        totals[order.currency] = totals.get(order.currency, Decimal()) + order.amount
    return " + ".join(money(total, currency) for currency, total in sorted(totals.items())) or "nothing"
