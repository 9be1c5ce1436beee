"""The stock desk: what a runner's sagas do to stock is decided together, on one growing state, and sent as one append.

So a SKU that every order wants costs one append for many orders, not one each, with all the others in conflict.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from core.domain.inventory import INVENTORY, InventoryEvent, Stock
from core.domain.message import Sku, inventory_stream
from core.errors import DatabaseFault, Unavailable
from core.ports.log import Accepted, Append, Conflict, Entry, EventStore, LeaseLost, NewEvent, Verdict
from core.services.load import Loaded, StateCache
from core.services.sagas.work import SagaAppend

MOST_TOGETHER = 64
TRIES_TOGETHER = 5

Decide = Callable[[Mapping[Sku, Stock]], SagaAppend]


@dataclass(frozen=True, slots=True)
class Request:
    """`decide` is called again on newer stock after a conflict, so it must be pure."""

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
    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._cache = StateCache(store, INVENTORY)
        self._queue: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None

    async def run(self, skus: Sequence[Sku], decide: Decide) -> Verdict:
        """Decide on the SKUs' stock and record it; a Conflict means that the saga or its order has moved."""
        request = Request(skus, decide, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await request.outcome

    async def _work(self) -> None:
        try:
            while self._queue:
                taken = [self._queue.popleft() for _ in range(min(MOST_TOGETHER, len(self._queue)))]
                await self._serve(taken)
        finally:
            self._task = None

    async def _serve(self, taken: Sequence[Request]) -> None:
        group = [request for request in taken if not request.outcome.done()]
        try:
            await self._together(group)
        except Exception as error:  # noqa: BLE001 - who is at fault must hear it, and the desk goes on
            if len(group) > 1 and not isinstance(error, (Unavailable, DatabaseFault)):
                for request in group:  # whose fault it is, only one at a time can tell
                    await self._serve([request])
                return
            for request in group:
                request.fail(error)

    async def _together(self, group: Sequence[Request]) -> None:
        for _ in range(TRIES_TOGETHER):
            if not group:
                return
            verdict, moved = await self._send(group)
            match verdict:
                case LeaseLost():
                    break  # whose lease it was, only one at a time can tell
                case Conflict():
                    for request in moved:
                        request.settle(verdict)
                    group = [request for request in group if request not in moved]
                case _:
                    return
        for request in group:
            for last in range(TRIES_TOGETHER, -1, -1):
                verdict, moved = await self._send([request])
                if not isinstance(verdict, Conflict) or moved or not last:
                    request.settle(verdict)
                    break

    async def _send(self, group: Sequence[Request]) -> tuple[Verdict, Sequence[Request]]:
        """Send them as one append; after a conflict also say which of them can only lose again."""
        stock = {sku: await self._cache.recent(inventory_stream(sku)) for r in group for sku in r.skus}
        growing = dict(stock)
        new: dict[Sku, list[NewEvent]] = {sku: [] for sku in stock}
        drafts: list[SagaAppend] = []
        for request in group:
            made = request.decide({sku: growing[sku].state for sku in request.skus})
            drafts.append(made)
            for sku, events in made.effect.stock.items():
                growing[sku] = _after(growing[sku], events)
                new[sku] += made.new(events)
        shelves = [Entry(inventory_stream(sku), INVENTORY.category, stock[sku].version, new[sku]) for sku in stock]
        own = [made.entries() for made in drafts]
        verdict = await self._store.append(
            Append([*shelves, *(entry for entries in own for entry in entries)], sagas=[made.row() for made in drafts])
        )
        if isinstance(verdict, Accepted):
            for sku, loaded in growing.items():
                self._cache.put(inventory_stream(sku), loaded)
            for request, made in zip(group, drafts, strict=True):
                made.applied()
                request.settle(verdict)
        if not isinstance(verdict, Conflict):
            return verdict, ()
        actual = iter(verdict.actual)
        for entry, version in zip(shelves, actual, strict=False):
            if version != entry.expected:
                await self._cache.latest(entry.stream)
        moved = [
            request
            for request, entries in zip(group, own, strict=True)
            if [next(actual) for _ in entries] != [entry.expected for entry in entries]
        ]
        return verdict, moved


def _after(stock: Loaded[Stock], events: Sequence[InventoryEvent]) -> Loaded[Stock]:
    return replace(stock, state=INVENTORY.fold(events, stock.state), version=stock.version + len(events))
