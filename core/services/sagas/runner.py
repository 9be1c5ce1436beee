"""Run sagas: start those that events of the log start, claim those that are due, and advance many at once.

The runner may be killed at any time: starting a saga twice does nothing, every step is one append, and leases run out.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog

from core.codec import EventDamaged, StoredEvent
from core.domain import saga as saga_events
from core.domain.message import OrderId, SagaId
from core.domain.order import ORDER, OrderCreated
from core.errors import DatabaseFault, Unavailable, UnknownEvent
from core.fault_board import FaultBoard
from core.ports.log import Accepted, Conflict
from core.ports.sagas import Claim, SagaLog, started_by
from core.sagas.holdings import open_items
from core.sagas.record import Record, started
from core.sagas.saga import Effect, Tables, unknown_table
from core.services.load import Loaded
from core.services.sagas.advance import LeaseGone, World, advance, begin, refresh
from core.services.sagas.starting import start_of, undoes_itself
from core.services.sagas.waiting import WaitingSagas
from core.services.sagas.work import FIRST_EPOCH, LEASE, SagaAppend, Work, draft, load_work, new_work
from core.services.set_aside import unread
from core.tracing import traceparent_in

R = TypeVar("R")

MOST_AT_ONCE = 256
MOST_TOGETHER = 64  # claims in one statement
MOST_CLAIMS = 20  # without an event in between; more mean that the runner dies each time it works on the saga
KEEP_KEYS = timedelta(hours=48)

log = structlog.get_logger(__name__)


class SagaRunner:
    """`owner` is the name of this runner in its leases. Faults that stop the work on a saga are noted on `faults`."""

    def __init__(
        self, world: World, sagas: SagaLog, tables: Tables, owner: str, faults: FaultBoard | None = None
    ) -> None:
        self._world = world
        self._sagas = sagas
        self._tables = tables
        self._owner = owner
        self._tasks: dict[SagaId, tuple[int, asyncio.Task[None]]] = {}  # by saga: its lease's epoch and its task
        self._waiting_sagas = WaitingSagas(sagas)
        self._starting = 0
        self._others_wait = False  # sagas may be due that this runner has no room for
        self.has_room = asyncio.Event()
        """Set when there is room for sagas that are known to wait, so that `claim` need not be called before."""
        self._faults = faults or FaultBoard()
        self._ended_by_fault: Counter[SagaId] = Counter()  # by saga: the claims that ended by a fault of the database
        self._waiting: dict[object, float] = {}  # since when each task waits for the database, by the monotonic clock
        self._triggers = started_by(tables)

    # --- claiming -------------------------------------------------------------------------------------------
    async def claim(self) -> int:
        """Claim sagas that are due, as many as there is room for, and start working on them. Returns how many.

        Sagas that wait for the provider are due only when it can be called. When more are due than there is room for,
        new sagas queue behind them until a claim has found the last one.
        """
        self.has_room.clear()
        await self._waiting_sagas.look(min(self._room, self._world.gateway.room()))
        count = 0
        while (limit := min(self._room, MOST_TOGETHER)) > 0:
            claims = await self._sagas.claim(self._owner, limit=limit, lease=LEASE)
            for claim in claims:
                self._waiting_sagas.remove(claim.saga_id)
                old = self._tasks.pop(claim.saga_id, None)
                if old:
                    old[1].cancel()  # we lost its lease, and have just claimed it again with a new epoch
                self._hold(claim.saga_id, claim.epoch, lambda claim=claim: self._resume(claim))
            count += len(claims)
            if len(claims) < limit:
                self._others_wait = False
                return count
        self._others_wait = True
        return count

    @property
    def held(self) -> int:
        """How many sagas this runner works on."""
        return len(self._tasks)

    @property
    def _room(self) -> int:
        return max(0, MOST_AT_ONCE - len(self._tasks))  # a batch of new sagas may have begun more than that

    async def _resume(self, claim: Claim) -> None:
        unknown = unknown_table(claim.name, claim.definition)
        saga = self._tables.get((claim.name, claim.definition), unknown)
        claims = claim.claims - self._ended_by_fault[claim.saga_id]
        try:
            store, ids, owner, epoch = self._world.store, (claim.saga_id, claim.order_id), self._owner, claim.epoch
            load = partial(load_work, store, saga, *ids, owner=owner, epoch=epoch)
            work = await self._retry_while_unavailable(load)
        except (DatabaseFault, UnknownEvent, EventDamaged):
            raise  # the fault is one of the database, or the saga is set aside until it can be read
        except Exception as error:
            if saga is unknown or claims > MOST_CLAIMS:
                await self._give_up_unread(claim, f"it cannot be read: {error}")
            raise
        if work is None:
            log.error("a row of a saga without events", saga=str(claim.saga_id))
        elif saga is unknown:
            await self._give_up(work, f"this release has no saga {claim.name} in definition {claim.definition}")
        elif claims > MOST_CLAIMS:
            await self._give_up(work, "the runner dies on this step")
        elif work.lacks_its_start:
            await self._give_up(work, "the event that started it is left out")
        else:
            await self._drive(work)

    async def _give_up(self, work: Work, reason: str) -> None:
        """Record that the saga has FAILED, so that a person decides, since trying again or guessing cannot help."""
        known = not work.lacks_its_start
        items = open_items(work.saga, work.progress, work.order.state) if known else ("what it holds is not known",)
        end = saga_events.SagaFailed(saga_id=work.saga_id, reason=reason, open_items=items)
        log.error("a saga needs a person", saga=str(work.saga_id), reason=reason)
        now = self._world.clock.now()
        saga_append = draft(work, Effect(), Record.of(work, [end], now), now, waits_for=reason)
        if isinstance(await self._world.store.append(saga_append.append()), Accepted):
            saga_append.applied()

    async def _give_up_unread(self, claim: Claim, reason: str) -> None:
        """Record that the saga has FAILED although its events cannot be read. The lease keeps other runners from it."""
        unknown = unknown_table(claim.name, claim.definition)
        now = self._world.clock.now()
        work = new_work(unknown, claim.order_id, None, owner=self._owner, now=now)
        work.saga_id, work.epoch = claim.saga_id, claim.epoch
        end = saga_events.SagaFailed(saga_id=claim.saga_id, reason=reason, open_items=("what it holds cannot be read",))
        log.error("a saga needs a person", saga=str(claim.saga_id), reason=reason)
        while True:
            saga_append = draft(work, Effect(), Record.of(work, [end], now), now, waits_for=reason)
            verdict = await self._world.store.append(saga_append.append())
            if not isinstance(verdict, Conflict):
                return
            (work.version,) = verdict.actual

    # --- holding --------------------------------------------------------------------------------------------
    def _hold(self, saga_id: SagaId, epoch: int, drive: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._drive_or_set_aside(saga_id, epoch, drive))
        self._tasks[saga_id] = (epoch, task)

        def end(_: asyncio.Task[None]) -> None:
            """Forget the saga when its task ends. After an error, its lease runs out, and a runner claims it again."""
            if self._tasks.get(saga_id, (None, None))[1] is task:
                del self._tasks[saga_id]
                if self._others_wait and self._room >= MOST_AT_ONCE // 4:
                    self.has_room.set()
            if task.cancelled():
                return
            error = task.exception()
            if isinstance(error, DatabaseFault):
                self._ended_by_fault[saga_id] += 1
                self._faults.report(f"saga {saga_id}", error, seconds=2 * LEASE.total_seconds())
                return
            self._ended_by_fault.pop(saga_id, None)
            self._faults.clear(f"saga {saga_id}")
            if isinstance(error, LeaseGone):
                log.info("lease lost", saga=str(saga_id))
            elif error is not None:
                log.error("a saga could not be advanced", saga=str(saga_id), exc_info=error)

        task.add_done_callback(end)

    async def _drive_or_set_aside(self, saga_id: SagaId, epoch: int, drive: Callable[[], Awaitable[None]]) -> None:
        """Work on the saga. If an event that it needs cannot be read, set it aside for a runner that can read it."""
        try:
            await drive()
        except (UnknownEvent, EventDamaged) as error:
            found = unread(error)
            log.warning("a saga is set aside", saga=str(saga_id), reason=found.saga_error, position=found.position)
            await self._retry_while_unavailable(lambda: self._sagas.set_aside(self._owner, saga_id, epoch, found))

    async def _drive(self, work: Work, *, stale: bool = False) -> None:
        """Advance the saga, and wait while the database is away.

        That is safe because an append with an old version or epoch is refused.
        """

        async def go_on() -> None:
            nonlocal stale
            if stale:
                await refresh(self._world, work)
            stale = True  # if `advance` is called again, the log may have new events
            await advance(self._world, work)

        await self._retry_while_unavailable(go_on)
        if work.waits_for_provider:
            self._waiting_sagas.add(work.saga_id, work.epoch)

    async def _retry_while_unavailable(self, do: Callable[[], Awaitable[R]]) -> R:
        """Call `do`, and call it again after every Unavailable. Any other error is raised."""
        mine, said = object(), False
        try:
            while True:
                try:
                    return await do()
                except Unavailable as error:
                    if not (self._waiting or error.logged):
                        log.warning("waits for the database", reason=str(error))
                        said = True
                    self._waiting.setdefault(mine, time.monotonic())
                    await asyncio.sleep(random.uniform(0.2, 1.0))  # noqa: S311 - jitter
        finally:
            self._waiting.pop(mine, None)
            if said:
                log.info("no longer waits for the database")

    def waits_for_database(self) -> float:
        """For how many seconds a task has waited for the database: the longest of them; 0 when none waits."""
        return time.monotonic() - min(self._waiting.values()) if self._waiting else 0.0

    async def renew(self) -> None:
        """Renew the lease of every saga of this runner. Stop working on those that another runner has claimed."""
        leases = {saga_id: epoch for saga_id, (epoch, _) in self._tasks.items()}
        if leases:
            for saga_id in await self._sagas.extend(self._owner, leases, lease=LEASE):
                epoch, task = self._tasks.get(saga_id, (None, None))
                if task is not None and epoch == leases[saga_id]:
                    task.cancel()

    async def sweep(self) -> None:
        """Delete the idempotency keys that are so old that nobody repeats their commands."""
        while await self._sagas.forget_keys(older_than=KEEP_KEYS, limit=5_000) == 5_000:
            pass

    async def drain(self, within: float) -> None:
        """Wait until the tasks of all sagas have ended, but at most `within` seconds; then cancel the others."""
        tasks = [task for _, task in self._tasks.values()]
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=within)
            for task in unfinished:
                task.cancel()

    # --- starting -------------------------------------------------------------------------------------------
    async def start(self, batch: Sequence[StoredEvent]) -> None:
        """Start a saga for each event of the batch that starts one. Starting it again does nothing."""
        starts = [event for event in batch if event.event_type in self._triggers]

        async def start_all() -> None:
            ends = await asyncio.gather(*(self._start_for(event) for event in starts), return_exceptions=True)
            for error in filter(None, ends):  # not before all have ended: none may be started twice at the same time
                raise error

        await self._retry_while_unavailable(start_all)

    async def _start_for(self, stored: StoredEvent) -> None:
        """Start the saga that an event starts, even if the event cannot be read, so that a person learns of it."""
        saga = self._triggers[stored.event_type]
        order_id = OrderId(stored.stream)
        if saga.after is not None and await undoes_itself(
            self._world.store, self._sagas, saga.after, order_id, stored.position
        ):
            return
        start = start_of(saga, stored)
        if start is None:
            return
        now = self._world.clock.now()
        work = new_work(saga, order_id, stored.event_id, owner=self._owner, now=now, about=start.about)
        work.traceparent = traceparent_in(stored.metadata)
        if isinstance(start.event, OrderCreated):
            work.order = Loaded(ORDER.evolve(ORDER.initial, start.event), stored.version, stored.position)
        self._starting += 1
        try:
            saga_append = self._first_append(work)
            verdict = await begin(self._world, saga_append)
        finally:
            self._starting -= 1
        if not isinstance(verdict, Accepted):
            return  # the saga was started before
        if saga_append.due_in is None:
            work.epoch = FIRST_EPOCH
            self._hold(work.saga_id, work.epoch, lambda: self._drive(work, stale=work.order.version == 0))

    def _first_append(self, work: Work) -> SagaAppend:
        """The append of SagaStarted. This runner gets the lease if it has room, and no older saga waits for that room.

        Else the saga is due for any runner, after those that have been due for longer.
        """
        now = self._world.clock.now()
        record = started(work, now, self._world.scale)
        room = len(self._tasks) + self._starting <= MOST_AT_ONCE  # all sagas of a batch start at once
        self._others_wait = self._others_wait or not room
        return draft(work, Effect(), record, now, due_in=timedelta() if self._others_wait else None)
