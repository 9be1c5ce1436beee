"""A projector whose leases are no longer renewed, because that met a fault, says so and begins anew."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from core.fault_board import FaultBoard
from core.projections import ORDERS
from daemons.projector.from_kafka import Keeping, SharesFollower


class Broken:
    """Its leases cannot be renewed, for a reason that nobody has thought of."""

    async def owners(self, _reader: str) -> list[str]:
        raise RuntimeError("nobody has thought of this")

    async def leave(self, _reader: str, _owners: list[str]) -> None: ...


class NoModels:
    async def open(self) -> None: ...

    async def progress(self) -> None: ...


async def test_a_fault_of_the_keeper_of_shares_is_told() -> None:
    app: Any = SimpleNamespace(shares=Broken(), settings=SimpleNamespace(kafka_partitions=3), subscription=lambda: None)
    models: Any = NoModels()
    topics: Any = SimpleNamespace(places=())
    faults, stop = FaultBoard(), asyncio.Event()
    follower = SharesFollower(app, ORDERS, models, topics, Keeping(), faults)
    following = asyncio.create_task(follower.follow(stop))
    try:
        async with asyncio.timeout(10):
            while faults.reason is None:
                await asyncio.sleep(0.01)
        assert "nobody has thought of this" in faults.reason
    finally:
        stop.set()
        await following
