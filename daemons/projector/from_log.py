"""Fills the read models from the log. The share of a group is all of it, so projectors divide the groups."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from core.bootstrap import App, open_read_models
from core.fault_board import FaultBoard
from core.ports.reading import ReadModels
from core.projections import GROUPS
from core.projections.projection import Group
from core.services.project import Projector
from core.services.shares import ShareKeeper
from daemons.process.owner import gone, our_name
from daemons.process.share_work import ShareWork
from daemons.process.vitals import SELDOM, STEADY, Vitals
from daemons.process.work_again import keep_up
from daemons.projector.group_state import POSITION, GroupState, waiting_words

READER = "projector"


class Follower:
    """Keeps one group up to date while this process holds it, and says why when it does not."""

    def __init__(self, app: App, number: int, group: Group[Any], read_models: ReadModels, faults: FaultBoard) -> None:
        self._app = app
        self._group = group
        self._projector = Projector(group, read_models)
        self._state = GroupState(group.name, faults, read_models.progress, lambda: self._projector.saved_at)
        self.share = ShareWork(number, self._keep_up)

    @property
    def holds(self) -> bool:
        return self.share.epoch is not None

    @property
    def position(self) -> int:
        return self._projector.position

    async def _keep_up(self, _epoch: int, lost: asyncio.Event) -> None:
        self._state.begins()
        await keep_up(lambda: self._run(lost), lost, waits=self._state.waits, failed=self._state.failed)
        self._state.works()

    async def _run(self, stop: asyncio.Event) -> None:
        steady = asyncio.get_running_loop().call_later(STEADY, self._state.works)
        try:
            await self._projector.run(self._app.subscription(), stop)
        finally:
            steady.cancel()

    def degraded(self) -> str | None:
        return waiting_words(self._group.name, self._projector.waiting) if self.holds else None

    async def why_not_ready(self) -> str | None:
        """A projector that does not hold the group stands by, which is what it is there for."""
        return await self._state.why_not_ready() if self.holds else None


async def follow_log(app: App, vitals: Vitals) -> None:
    async with AsyncExitStack() as opened:
        keeper = ShareKeeper(app.shares, READER, our_name(), count=len(GROUPS), gone=gone)
        followers: list[Follower] = []
        for number, group in enumerate(GROUPS):
            read_models = await opened.enter_async_context(
                open_read_models(app, group, lambda seconds, number=number: number in keeper.held_for(seconds))
            )
            followers.append(Follower(app, number, group, read_models, vitals.faults))
        POSITION.set_function(lambda: min((one.position for one in followers if one.holds), default=0))

        async def why_not_ready() -> str | None:
            reasons = [keeper.trouble, *[await follower.why_not_ready() for follower in followers]]
            return "; ".join(reason for reason in reasons if reason) or None

        for each in followers:
            vitals.degraded.append(each.degraded)
            opened.callback(vitals.degraded.remove, each.degraded)
        await keeper.renew()  # before it says that it is ready, so that it does not yet wait for its share then
        vitals.started(why_not_ready, collect=SELDOM)
        async with asyncio.TaskGroup() as following:
            following.create_task(keeper.keep(vitals.stop))
            for follower in followers:
                following.create_task(follower.share.follow(keeper, vitals.stop))
