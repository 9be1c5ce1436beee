"""Steer: records what a person decides about a saga, together with what that changes, as one append."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from core.domain import saga as saga_events
from core.domain.inventory import INVENTORY, Stock
from core.domain.message import SagaId, Sku, StreamId, inventory_stream
from core.errors import NotFound
from core.ports.clock import Clock
from core.ports.log import Answer, Entry, EventStore, Result
from core.ports.sagas import SagaLog
from core.sagas.actions import quantities
from core.sagas.saga import Move, Tables, unknown_table
from core.sagas.wishes import Wish, checked_reason, decide
from core.services.execute import Decision, Outcome, Terms, run_command
from core.services.load import Loaded, load_state
from core.services.sagas.work import SagaAppend, Work, draft, load_work
from core.tracing import kept_traceparent


class Operation(msgspec.Struct, frozen=True):
    """What a person wants to do to one saga, and why."""

    saga_id: SagaId
    wish: Wish
    reason: str


async def operate(
    store: EventStore, sagas: SagaLog, tables: Tables, clock: Clock, operation: Operation, terms: Terms
) -> Outcome:
    """Record the operation, so that a runner takes the saga up at once. Raises what `run_command` raises."""
    checked_reason(operation.reason)
    return await run_command(store, _OnSaga(store, sagas, tables, clock, operation, terms, clock.now()), terms)


@dataclass(slots=True)
class _OnSaga:
    """An operation as a command on the saga's stream. `work` and `stock` are what `load` read last."""

    store: EventStore
    sagas: SagaLog
    tables: Tables
    clock: Clock
    operation: Operation
    terms: Terms
    now: datetime
    work: Work | None = None
    stock: dict[Sku, Loaded[Stock]] = field(default_factory=dict)

    @property
    def stream(self) -> StreamId:
        return StreamId(self.operation.saga_id)

    @property
    def category(self) -> str:
        return saga_events.CATEGORY

    async def load(self) -> int:
        work = self.work = await self._load_work()
        self.stock = {}
        if self.operation.wish is Wish.COMPENSATE and work.saga.forward_only:
            for sku in quantities(work.order.state):
                self.stock[sku] = await load_state(self.store, INVENTORY, inventory_stream(sku))
        self.now = self.clock.now()
        return work.version

    def decide(self) -> Decision:
        work, operation = self.work, self.operation
        assert work is not None  # noqa: S101 - `load` is called before
        facts = work.facts(self.now, {sku: loaded.state for sku, loaded in self.stock.items()})
        by = self.terms.user_id or "anonymous"
        record, effect = decide(operation.wish, work, facts, operation.reason, by)
        saga_append = draft(work, effect, record, self.now, reads=frozenset({"order", "payment"}), due_in=timedelta())
        stock = [
            Entry(inventory_stream(sku), INVENTORY.category, self.stock[sku].version, saga_append.new(new))
            for sku, new in effect.stock.items()
        ]
        *others, own = saga_append.entries()
        answer = Answer(Result.DONE, self.stream, work.version + len(saga_append.events), 0, _fields(saga_append))
        return Decision(answer, own, [*stock, *others], [saga_append.row()])

    async def _load_work(self) -> Work:
        saga_id = self.operation.saga_id
        # The epoch is read before the events: a runner that claims the saga or appends after this line changes one of
        # the two, and then our append is refused.
        epoch = await self.sagas.epoch(saga_id)
        recorded = await self.store.load(self.stream) if epoch is not None else ()
        first = recorded[0].event if recorded else None
        if epoch is None or not isinstance(first, saga_events.SagaStarted):
            raise NotFound("saga", str(saga_id))
        name, definition = first.name, first.definition
        saga = self.tables.get((name, definition)) or unknown_table(name, definition)
        work = await load_work(self.store, saga, saga_id, first.order_id, owner="", epoch=epoch)
        assert work is not None  # noqa: S101 - its first event was read above
        work.user_id, work.request_id = self.terms.user_id, self.terms.request_id
        work.cause = self.terms.command_id()
        work.traceparent = kept_traceparent()
        return work


def _fields(saga_append: SagaAppend) -> Mapping[str, Any]:
    move = saga_append.next
    step = move.step.name if isinstance(move, Move) else ""
    return {"saga_id": saga_append.work.saga_id, "status": saga_append.progress.status, "step": step}
