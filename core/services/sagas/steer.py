"""Operate: what a person decides about a saga, recorded on its stream with what it changes, all or nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from core.domain import saga as saga_events
from core.domain.inventory import INVENTORY, Stock
from core.domain.message import SagaId, Sku, StreamId, inventory_stream
from core.errors import NotAllowed, NotFound, PreconditionFailed, VersionConflict
from core.ports.clock import Clock
from core.ports.log import Accepted, Answer, Append, Conflict, Entry, EventStore, LeaseLost, Replay
from core.ports.sagas import SagaLog
from core.sagas.actions import quantities
from core.sagas.saga import Move, Saga, next_move
from core.sagas.wishes import Wish, checked_reason, decide
from core.services.execute import KEEP_TRYING, PAUSE, REFUSED, Outcome, Terms, kept, placed, replay_or, replayed, would
from core.services.load import Loaded, load_state
from core.services.sagas.work import SagaAppend, Work, draft, load_work

Tables = Mapping[tuple[str, int], Saga]


class Operation(msgspec.Struct, frozen=True):
    """A wish about one saga, and why."""

    saga_id: SagaId
    wish: Wish
    reason: str


async def operate(
    store: EventStore, sagas: SagaLog, tables: Tables, clock: Clock, operation: Operation, terms: Terms
) -> Outcome:
    """Record it; a runner takes the saga up at once. Raises what `execute` raises."""
    checked_reason(operation.reason)
    loop = asyncio.get_running_loop()
    give_up, pause = loop.time() + KEEP_TRYING, PAUSE
    while True:
        work = await _load(store, sagas, tables, operation.saga_id, terms)
        if terms.expected is not None and terms.expected != work.version:
            return await replay_or(store, terms, PreconditionFailed(f'"{terms.expected}"', work.version))
        stream = StreamId(work.saga_id)
        try:
            made, shelves = await _decided(store, work, operation, terms, clock)
        except NotAllowed as refusal:
            if terms.key is None or terms.dry_run:
                raise
            answer = Answer(REFUSED, stream, None, None, {"code": refusal.code, "detail": str(refusal)})
            wanted = Append([Entry(stream, saga_events.CATEGORY, work.version)], key=kept(terms.key, answer))
        else:
            answer = Answer(200, stream, work.version + len(made.events), 0, _fields(made))
            if terms.dry_run:
                own = made.entries()[-1].events
                events, metadata = [new.event for new in own], own[0].metadata
                found = would(events, saga_events.CATEGORY, stream, work.version, metadata, clock.now())
                return Outcome(answer, would=found)
            wanted = Append([*shelves, *made.entries()], sagas=[made.row()], key=kept(terms.key, answer))
        match await store.append(wanted):
            case Accepted(position):
                return Outcome(placed(answer, position))
            case Replay() as known:
                return replayed(terms, known)
            case Conflict() | LeaseLost():  # its runner, or another operator, was quicker
                if loop.time() > give_up:
                    raise VersionConflict(stream, work.version, work.version + 1)
                await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - jitter
                pause = min(2 * pause, 0.2)


async def _load(store: EventStore, sagas: SagaLog, tables: Tables, saga_id: SagaId, terms: Terms) -> Work:
    epoch = await sagas.epoch(
        saga_id
    )  # before its events: what a runner does after this is refused by one or the other
    recorded = await store.load(StreamId(saga_id)) if epoch is not None else ()
    first = recorded[0].event if recorded else None
    if epoch is None or not isinstance(first, saga_events.SagaStarted):
        raise NotFound("saga", str(saga_id))
    unknown = Saga(first.name, first.definition, type(first), ())
    saga = tables.get((first.name, first.definition), unknown)
    work = await load_work(store, saga, saga_id, first.order_id, owner="", epoch=epoch)
    assert work is not None  # noqa: S101 - its first event was just read
    work.user_id, work.request_id = terms.user_id, terms.request_id
    return work


async def _decided(
    store: EventStore, work: Work, operation: Operation, terms: Terms, clock: Clock
) -> tuple[SagaAppend, list[Entry]]:
    """What to append: the draft, and the stock that goes with it."""
    shelves: dict[Sku, Loaded[Stock]] = {}
    if operation.wish is Wish.COMPENSATE and work.saga.forward_only:
        for sku in quantities(work.order.state):
            shelves[sku] = await load_state(store, INVENTORY, inventory_stream(sku))
    now = clock.now()
    facts = work.facts(now, {sku: loaded.state for sku, loaded in shelves.items()})
    by = terms.user_id or "anonymous"
    events, effect = decide(operation.wish, work, facts, operation.reason, by)
    made = draft(work, effect, events, now, reads=frozenset({"order", "payment"}), due_in=timedelta())
    return made, [
        Entry(inventory_stream(sku), INVENTORY.category, shelves[sku].version, made.new(new))
        for sku, new in effect.stock.items()
    ]


def _fields(made: SagaAppend) -> Mapping[str, Any]:
    move = next_move(made.work.saga, made.progress)
    step = move.step.name if isinstance(move, Move) else ""
    return {"saga_id": made.work.saga_id, "status": made.progress.status, "step": step}
