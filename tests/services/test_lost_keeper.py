"""A projector whose leases are no longer renewed, or that no longer fills what it holds, says so and begins anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from core.fault_board import FaultBoard
from core.projections import ORDERS
from daemons.process import work_again
from daemons.projector.from_kafka import Keeping, SharesFollower


class Broken:
    """Its leases cannot be renewed, for a reason that nobody has thought of."""

    async def owners(self, _reader: str) -> list[str]:
        raise RuntimeError("nobody has thought of this")

    async def leave(self, _reader: str, _owners: list[str]) -> None: ...


class Kept:
    """It always holds one share."""

    async def owners(self, _reader: str) -> list[str]:
        return []

    async def keep(self, _reader: str, _owner: str, **_: object) -> dict[int, int]:
        return {0: 1}

    async def leave(self, _reader: str, _owners: list[str]) -> None: ...


class NoModels:
    async def open(self) -> None: ...

    async def progress(self) -> None: ...


class ModelsOfABrokenLibrary(NoModels):
    """A library that they use cancels whoever calls it, as clients do that are closed meanwhile."""

    taken = 0

    async def take(self, _held: object) -> None:
        self.taken += 1
        raise asyncio.CancelledError


def follower_of(shares: object, models: object, faults: FaultBoard) -> SharesFollower:
    app: Any = SimpleNamespace(shares=shares, settings=SimpleNamespace(kafka_partitions=3), subscription=lambda: None)
    read_models: Any = models
    topics: Any = SimpleNamespace(places=())
    return SharesFollower(app, ORDERS, read_models, topics, Keeping(), faults)


@asynccontextmanager
async def following(follower: SharesFollower) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(follower.follow(stop))
    try:
        async with asyncio.timeout(10):
            yield
    finally:
        stop.set()
        await task


async def test_a_fault_of_the_keeper_of_shares_is_told() -> None:
    faults = FaultBoard()
    async with following(follower_of(Broken(), NoModels(), faults)):
        while faults.reason is None:
            await asyncio.sleep(0.01)
    assert "nobody has thought of this" in faults.reason


async def test_work_that_a_library_cancels_is_told_and_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_again, "PAUSE_AFTER_FAULT", 0.01)
    faults, models = FaultBoard(), ModelsOfABrokenLibrary()
    async with following(follower_of(Kept(), models, faults)):
        while models.taken < 2 or faults.reason is None:
            await asyncio.sleep(0.01)
    assert "cancelled from within" in faults.reason
