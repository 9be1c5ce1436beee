"""A program whose every call of a port stands still before and after it until it is let; killed, it is never let."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from core.codec import StoredEvent
from core.domain.message import Recorded, StreamId
from core.domain.provider import PaymentAnswer
from core.errors import FulfilmentNotFinished, OutcomeUnknown, Rejected, SagaTaken, Unavailable, VersionConflict
from core.ports.log import Append, Verdict
from core.ports.snapshots import StreamPage
from core.sagas.saga import Tables
from core.services.sagas.advance import World
from core.services.sagas.runner import SagaRunner
from core.services.sagas.stock import StockDesk
from tests.support.faulty_provider import FaultyProvider
from tests.support.played_log import PlayedLog
from tests.support.still_time import StillLoop

R = TypeVar("R")

EXPECTED = (Rejected, FulfilmentNotFinished, VersionConflict, SagaTaken, Unavailable)


class Program:
    """`surprises` is what it died of."""

    def __init__(self, loop: StillLoop, log: PlayedLog, surprises: list[BaseException]) -> None:
        self.loop = loop
        self.log = log
        self.surprises = surprises
        self._gates: list[asyncio.Future[bool]] = []

    def begins(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = self.loop.create_task(coroutine)
        task.add_done_callback(self._ended)
        self.loop.settle()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, EXPECTED):
            self.surprises.append(error)

    def goes_on(self, calls: int, *, pick: int = 0, fault: bool = False) -> None:
        """Past so many gates, always the `pick`-th that is there; a `fault` strikes at the last of them."""
        while calls and (gates := self.gates):
            calls -= 1
            gates[pick % len(gates)].set_result(fault and not calls)
            self.loop.settle()

    @property
    def gates(self) -> list[asyncio.Future[bool]]:
        """The calls that stand still, the oldest first."""
        self._gates = [gate for gate in self._gates if not gate.done()]
        return self._gates

    async def gate(self) -> bool:
        """Whether something goes wrong here."""
        here: asyncio.Future[bool] = self.loop.create_future()
        self._gates.append(here)
        return await here

    # --- its log --------------------------------------------------------------------------------------------
    async def append(self, append: Append) -> Verdict:
        if await self.gate():
            raise Unavailable("the database is away")
        verdict = await self.log.append(append)
        if await self.gate():
            raise OutcomeUnknown("nobody knows")
        return verdict

    async def load(self, stream: StreamId, *, after: int = 0) -> Sequence[Recorded]:
        if await self.gate():
            raise Unavailable("the database is away")
        return await self.log.load(stream, after=after)

    @property
    def snapshots(self) -> SteppedSnapshots:
        return SteppedSnapshots(self)

    def __getattr__(self, name: str) -> Any:
        """What stands still nowhere."""
        return getattr(self.log, name)


class SteppedSnapshots:
    def __init__(self, program: Program) -> None:
        self._program = program

    async def load(self, stream: StreamId, **asked: Any) -> StreamPage:
        if await self._program.gate():
            raise Unavailable("the database is away")
        return await self._program.log.snapshots.load(stream, **asked)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._program.log.snapshots, name)


class SteppedProvider:
    def __init__(self, provider: FaultyProvider, program: Program) -> None:
        self._provider = provider
        self._program = program

    def room(self) -> int:
        return self._provider.room()

    def is_away(self) -> bool:
        return self._provider.is_away()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[PaymentAnswer]]:
        call = getattr(self._provider, name)

        async def stepped(*arguments: Any, **named: Any) -> PaymentAnswer:
            await self._program.gate()
            try:
                return await call(*arguments, **named)
            finally:
                await self._program.gate()

        return stepped


class Runner(Program):
    """A saga runner as the daemon has one."""

    def __init__(
        self,
        name: str,
        provider: FaultyProvider,
        tables: Tables,
        program: Program,
        scale: float,
    ) -> None:
        super().__init__(program.loop, program.log, program.surprises)
        world = World(self, StockDesk(self), SteppedProvider(provider, self), self.loop, scale)  # type: ignore[arg-type]
        self.real = SagaRunner(world, self.log.sagas, tables, name)  # type: ignore[arg-type]

    def hears(self, batch: Sequence[StoredEvent]) -> None:
        if batch:
            self.begins(self._start(batch))

    async def _start(self, batch: Sequence[StoredEvent]) -> None:
        await self.real.start(batch)
        self.log.started = max(self.log.started, batch[-1].position)

    def claims(self) -> None:
        self.begins(self.real.claim())

    def renews(self) -> None:
        self.begins(self.real.renew())
