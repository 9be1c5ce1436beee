"""The stock desk: decides the stock steps of many sagas one after the other, and sends them as one append.

If each saga sent its own append, the sagas of a popular SKU would conflict with each other all the time. The desks of
several runners would as well. So while others change stock too, a desk reads it again before it decides. And when it
decides many steps at once, or decides again after a conflict, it first waits for its turn among the desks.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from core.domain.inventory import INVENTORY, InventoryEvent, Stock
from core.domain.message import Sku, inventory_stream
from core.errors import DatabaseFault, Unavailable
from core.metrics import STOCK_CONFLICTS, STOCK_TURNS
from core.ports.log import Accepted, Append, Conflict, Entry, EventStore, LeaseLost, NewEvent, Verdict
from core.ports.stock_turns import StockTurns
from core.services.load import Loaded, StateCache
from core.services.sagas.work import SagaAppend
from core.tracing import DATABASE, BatchSpans, elsewhere

MOST_TOGETHER = 64
TRIES_TOGETHER = 5
MANY = 8  # steps; an append of so many is likely to meet another desk's, so it takes a turn at its first try
OTHERS_STAY = 5.0  # seconds for which others are expected to change stock after they were last seen to

Decide = Callable[[Mapping[Sku, Stock]], SagaAppend]


@dataclass(frozen=True, slots=True)
class Request:
    """One saga's step on stock. `decide` must be pure, since it is called again with newer stock after a conflict."""

    skus: Sequence[Sku]
    decide: Decide
    outcome: asyncio.Future[Verdict]

    def settle(self, verdict: Verdict) -> None:
        if not self.outcome.done():
            self.outcome.set_result(verdict)

    def fail(self, error: Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


class StockDesk:
    """Without `turns`, no other process is expected to decide on stock, and none is waited for.

    `conflicts` counts the appends that failed because others had changed the stock, `turns_taken` the turns.
    """

    def __init__(self, store: EventStore, turns: StockTurns | None = None) -> None:
        self._store = store
        self._turns = turns
        self._others_until = -math.inf  # by the monotonic clock: until then others are expected to change stock
        self._cache = StateCache(store, INVENTORY)
        self._queue: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self.conflicts = 0
        self.turns_taken = 0

    async def run(self, skus: Sequence[Sku], decide: Decide) -> Verdict:
        """Decide on the stock of the SKUs and record it. Returns a Conflict if the saga or its order has new events."""
        request = Request(skus, decide, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        if self._task is None:
            self._task = asyncio.create_task(self._work(), context=elsewhere())
        return await request.outcome

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._serve([self._queue.popleft() for _ in range(min(MOST_TOGETHER, len(self._queue)))])
        finally:
            self._task = None

    async def _serve(self, requests: Sequence[Request]) -> None:
        group = [request for request in requests if not request.outcome.done()]
        try:
            await self._together(group)
        except Exception as error:  # noqa: BLE001 - the request gets the error, and the desk goes on
            if len(group) > 1 and not isinstance(error, (Unavailable, DatabaseFault)):
                for request in group:  # each on its own, so that only the request at fault fails
                    await self._serve([request])
                return
            for request in group:
                request.fail(error)

    async def _together(self, group: Sequence[Request]) -> None:
        for n in range(TRIES_TOGETHER):
            if not group:
                return
            verdict, outdated = await self._try(group, again=n > 0)
            match verdict:
                case LeaseLost():
                    break  # below, each request is sent on its own, which tells whose lease it was
                case Conflict():
                    for request in outdated:
                        request.settle(verdict)
                    group = [request for request in group if request not in outdated]
                case _:
                    return
        for request in group:
            for last in range(TRIES_TOGETHER, -1, -1):
                verdict, outdated = await self._try([request], again=True)
                if not isinstance(verdict, Conflict) or outdated or not last:
                    request.settle(verdict)
                    break

    async def _try(self, group: Sequence[Request], *, again: bool) -> tuple[Verdict, Sequence[Request]]:
        """Send the requests; while others change stock too, on stock that was just read, and in a turn if need be."""
        if time.monotonic() > self._others_until:
            return await self._send(group)
        if self._turns is None or not (again or len(group) >= MANY):
            await self._read_again(group)
            return await self._send(group)
        async with self._turns.take():
            self.turns_taken += 1
            STOCK_TURNS.inc()
            await self._read_again(group)
            return await self._send(group)

    async def _read_again(self, group: Sequence[Request]) -> None:
        streams = [inventory_stream(sku) for sku in _skus(group)]
        before = [known.version for known in await self._cache.recent(streams)]
        after = [known.version for known in await self._cache.latest_of(streams)]
        if before != after:
            self._others_came()

    def _others_came(self) -> None:
        self._others_until = time.monotonic() + OTHERS_STAY

    async def _send(self, group: Sequence[Request]) -> tuple[Verdict, Sequence[Request]]:
        """Send the requests as one append. After a conflict, also return those whose saga or order has new events."""
        skus = _skus(group)
        recent = await self._cache.recent([inventory_stream(sku) for sku in skus])
        stock = dict(zip(skus, recent, strict=True))
        states = dict(stock)
        new: dict[Sku, list[NewEvent]] = {sku: [] for sku in stock}
        appends: list[SagaAppend] = []
        for request in group:
            append = request.decide({sku: states[sku].state for sku in request.skus})
            appends.append(append)
            for sku, events in append.effect.stock.items():
                states[sku] = _after(states[sku], events)
                new[sku] += append.new(events)
        stock_entries = [
            Entry(inventory_stream(sku), INVENTORY.category, stock[sku].version, new[sku]) for sku in stock
        ]
        saga_entries = [append.entries() for append in appends]
        steps = [each for append in appends if (each := append.work.step_traceparent) is not None]
        spans = BatchSpans("append", steps, "client", DATABASE)
        verdict = await self._store.append(
            Append(
                [*stock_entries, *(entry for entries in saga_entries for entry in entries)],
                sagas=[append.row() for append in appends],
            )
        )
        spans.end()
        if isinstance(verdict, Accepted):
            for sku, loaded in states.items():
                self._cache.put(inventory_stream(sku), loaded)
            for request, append in zip(group, appends, strict=True):
                append.applied()
                request.settle(verdict)
        if not isinstance(verdict, Conflict):
            return verdict, ()
        actual = iter(verdict.actual)
        if [next(actual) for _ in stock_entries] != [entry.expected for entry in stock_entries]:
            self.conflicts += 1
            STOCK_CONFLICTS.inc()
            self._others_came()
        outdated = [
            request
            for request, entries in zip(group, saga_entries, strict=True)
            if [next(actual) for _ in entries] != [entry.expected for entry in entries]
        ]
        return verdict, outdated


def _skus(group: Sequence[Request]) -> Sequence[Sku]:
    return list({sku: None for request in group for sku in request.skus})


def _after(stock: Loaded[Stock], events: Sequence[InventoryEvent]) -> Loaded[Stock]:
    return replace(stock, state=INVENTORY.fold(events, stock.state), version=stock.version + len(events))
