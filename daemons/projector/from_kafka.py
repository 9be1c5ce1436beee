"""Fills the read models from Kafka. A share of a group is a partition, so projectors divide the partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from typing import Any

from core.bootstrap import App, open_shared_read_models
from core.errors import CheckpointMoved, LogShorter, OrderdeckError
from core.fault_board import FaultBoard
from core.ports.deliveries import Topics
from core.ports.shared_models import SharedReadModels
from core.projections import GROUPS
from core.projections.projection import Group
from core.services.project_shares import ShareProjector
from core.services.shares import ShareKeeper
from daemons.process.owner import gone, our_name
from daemons.process.vitals import SELDOM, STEADY, Vitals
from daemons.process.work_again import keep_up
from daemons.projector.group_state import POSITION, GroupState, waiting_words


@dataclass
class Keeping:
    """The keeper of a group's shares while its read models are open, and the shares that are being filled."""

    keeper: ShareKeeper | None = None
    held: Mapping[int, int] = field(default_factory=dict[int, int])

    def goes_on(self, seconds: float) -> bool:
        """Whether they are held for so many seconds more."""
        return self.keeper is not None and bool(self.held) and self.keeper.held_for(seconds) == self.held


class SharesFollower:
    """Keeps those shares of one group up to date that this process holds, and says why when it does not."""

    def __init__(
        self,
        app: App,
        group: Group[Any],
        read_models: SharedReadModels,
        topics: Topics,
        keeping: Keeping,
        faults: FaultBoard,
    ) -> None:
        self._app = app
        self._group = group
        self._read_models = read_models
        self._keeping = keeping
        self._count = app.settings.kafka_partitions
        self._state = GroupState(group.name, faults, read_models.progress, lambda: self._projector.saved_at)
        self._projector = ShareProjector(
            group, read_models, topics, app.subscription, count=self._count, stuck=self._state.failed
        )
        self._steady: asyncio.TimerHandle | None = None
        self._again: OrderdeckError | None = None

    @property
    def position(self) -> int | None:
        """The position of the lowest share that this process holds."""
        return min(self._projector.positions.values(), default=None)

    async def follow(self, stop: asyncio.Event) -> None:
        await keep_up(lambda: self._fill(stop), stop, waits=self._state.waits, failed=self._state.failed)

    async def _fill(self, stop: asyncio.Event) -> None:
        """Open the read models and fill what this process holds of them, until they have to be opened again."""
        await self._read_models.open()
        self._again = None
        self._keeping.keeper = keeper = ShareKeeper(
            self._app.shares, self._group.reader, our_name(), count=self._count, gone=gone
        )
        over, lost = asyncio.Event(), asyncio.Event()
        filling: asyncio.Task[None] | None = None
        keeping = asyncio.create_task(keeper.keep(over))
        keeping.add_done_callback(lambda _: over.set())  # if it fails, nobody renews the leases: all begins anew
        stopping = asyncio.create_task(_pass_on(stop, over))
        try:
            async with aclosing(keeper.changes(over)) as changes:
                async for held in changes:
                    lost.set()
                    if filling is not None:
                        await filling
                    lost, filling, self._keeping.held = asyncio.Event(), None, dict(held)
                    if held:
                        self._state.begins()
                        filling = asyncio.create_task(self._keep_up(dict(held), lost, over))
        finally:
            over.set()
            lost.set()
            stopping.cancel()
            # Both end before it begins anew, whatever one of them has met, since they know what has been read so far.
            ended = await asyncio.gather(keeping, *([filling] if filling is not None else []), return_exceptions=True)
            self._keeping.keeper = None
        _raise_what_they_met(ended)
        if self._again is not None:
            raise self._again

    async def _keep_up(self, held: Mapping[int, int], lost: asyncio.Event, over: asyncio.Event) -> None:
        try:
            await keep_up(lambda: self._run(held, lost, over), lost, waits=self._state.waits, failed=self._state.failed)
        finally:
            if not lost.is_set():  # it ends although it holds its shares, which nobody else can fill then
                over.set()

    async def _run(self, held: Mapping[int, int], lost: asyncio.Event, over: asyncio.Event) -> None:
        self._be_steady_in(STEADY)
        try:
            while not lost.is_set():
                await self._projector.run(held, lost)
        except (CheckpointMoved, LogShorter) as error:
            self._again = error
            over.set()
            lost.set()
        finally:
            if self._steady is not None:
                self._steady.cancel()

    def _be_steady_in(self, seconds: float) -> None:
        self._steady = asyncio.get_running_loop().call_later(seconds, self._is_steady)

    def _is_steady(self) -> None:
        if self._projector.stuck:
            self._be_steady_in(STEADY)
        else:
            self._state.works()

    def degraded(self) -> str | None:
        return waiting_words(self._group.name, self._projector.waiting) if self._keeping.held else None

    async def why_not_ready(self) -> str | None:
        """A projector that could hold shares and has none stands by, which is what it is there for."""
        keeper = self._keeping.keeper
        if keeper is not None and keeper.stands_by:
            return None
        outage = self._projector.outage
        meanwhile = f"{outage}; its events are read from the log meanwhile" if outage else None
        return await self._state.why_not_ready([keeper.trouble if keeper else None, meanwhile])


def _raise_what_they_met(ended: Sequence[BaseException | None]) -> None:
    """Raise what one of our tasks has met. Nobody has cancelled them, so if one was cancelled, a library did that."""
    met = [error for error in ended if error is not None]
    if any(isinstance(error, asyncio.CancelledError) for error in met):
        raise RuntimeError("its work was cancelled from within")
    for error in met:
        raise error


async def _pass_on(stop: asyncio.Event, over: asyncio.Event) -> None:
    await stop.wait()
    over.set()


async def follow_kafka(app: App, vitals: Vitals) -> None:
    async with AsyncExitStack() as opened:
        followers: list[SharesFollower] = []
        for group in GROUPS:
            keeping = Keeping()
            opening = open_shared_read_models(app, group, keeping.goes_on)
            read_models, topics = await opened.enter_async_context(opening)
            followers.append(SharesFollower(app, group, read_models, topics, keeping, vitals.faults))
        POSITION.set_function(lambda: min((at for one in followers if (at := one.position) is not None), default=0))

        async def why_not_ready() -> str | None:
            reasons = [await follower.why_not_ready() for follower in followers]
            return "; ".join(reason for reason in reasons if reason) or None

        for each in followers:
            vitals.degraded.append(each.degraded)
            opened.callback(vitals.degraded.remove, each.degraded)
        vitals.started(why_not_ready, collect=SELDOM)
        async with asyncio.TaskGroup() as following:
            for follower in followers:
                following.create_task(follower.follow(vitals.stop))
