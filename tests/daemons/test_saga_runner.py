"""The saga runner's loops: one that stands still, or waits for the database, holds up neither the rest nor its end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from core.errors import DatabaseFault, Unavailable, UnknownEvent
from core.pace import Pace
from core.ports.sagas import Backlog, Starts
from core.services.sagas.starting import Starting
from daemons.process.backlog_meter import BacklogMeter
from daemons.process.vitals import Vitals
from daemons.saga_runner import work as saga_runner


class OneShare:
    """Gives this process share 0, and finds that it is at the beginning."""

    held: ClassVar[dict[int, int]] = {0: 1}

    async def read(self, _: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(number=0, position=self.position)]

    async def reach(self, _: str, positions: dict[int, int], __: dict[int, int]) -> None:
        self.position = positions[0]

    position = 0


class Feed:
    """Three events, one at a time."""

    async def read(self, _: object, places: dict[int, int], *, limit: int) -> Starts:
        place = min(places.values()) + limit // limit
        return Starts([SimpleNamespace(position=place)], place, more=True)  # type: ignore[list-item]

    def coming(self) -> asyncio.Event:
        return asyncio.Event()


async def test_the_saga_runner_tries_again_to_read_an_event_and_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_runner, "TRY_AGAIN_EVERY", 0.01)
    tries, failed = [0], asyncio.Event()

    async def start(batch: Any) -> None:
        if batch[-1].position > 1:
            tries[0] += 1
            if tries[0] > 2:
                failed.set()
            raise UnknownEvent("OrderCreated", 2)

    shares, feed = cast("Any", OneShare()), cast("Any", Feed())
    starting, vitals = Starting(feed, shares, shares, (), start), Vitals("saga-runner")
    with capture_logs() as logs:
        following = asyncio.create_task(saga_runner._follow(starting, vitals))
        async with asyncio.timeout(10):
            await failed.wait()
            assert not following.done()
            assert starting.position == 1
            assert "OrderCreated in schema 2 (starting sagas)" in (vitals.faults.reason or "")
            vitals.stop.set()
            await following
    assert [entry["event"] for entry in logs] == ["meets a fault"], "once, not once a try"


async def test_a_repeated_job_of_the_runner_waits_out_outages_and_faults_and_logs_each_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(saga_runner, "TRY_AGAIN_EVERY", 0.001)
    away, fault = Unavailable("the database is away"), DatabaseFault("undefined column", "42703")
    comes: list[Exception | None] = [None, away, away, away, None, fault, fault, fault, None]
    vitals, ready = Vitals("saga-runner"), list[bool]()

    async def do() -> None:
        ready.append(vitals.faults.reason is None)
        coming = comes.pop(0)
        if not comes:
            vitals.stop.set()
        if coming:
            raise coming

    with capture_logs() as logs:
        await saga_runner._every(0.001, "claiming sagas", do, vitals)
    assert [entry["event"] for entry in logs] == [
        "waits for the database", "no longer waits for the database", "meets a fault", "works again"
    ]  # fmt: skip
    assert ready == [True] * 6 + [False] * 3
    assert vitals.faults.reason is None


async def test_a_repeated_job_of_the_runner_comes_sooner_when_there_is_room_and_not_after_an_outage() -> None:
    vitals, room = Vitals("saga-runner"), asyncio.Event()
    comes: list[Exception | None] = [None, None, Unavailable("the database is away")]

    async def do() -> None:
        coming = comes.pop(0)
        if coming:
            asyncio.get_running_loop().call_later(0.05, vitals.stop.set)
            raise coming  # the event stays set

    room.set()
    async with asyncio.timeout(10):
        await saga_runner._every(3_600, "claiming sagas", do, vitals, sooner=room)
    assert comes == []


async def test_a_repeated_job_of_the_runner_that_has_found_something_is_soon_done_again_however_long_it_was_idle() -> (
    None
):
    vitals, pace, looks = Vitals("saga-runner"), Pace(0.001, 3_600), 0
    for _ in range(30):
        pace.pause()

    async def do() -> None:
        nonlocal looks
        looks += 1
        pace.came()
        if looks == 2:
            vitals.stop.set()

    async with asyncio.timeout(5):
        await saga_runner._every(pace.pause, "claiming sagas", do, vitals)


async def test_a_backlog_is_in_the_metrics_and_an_old_one_is_told_in_words() -> None:
    counted = Backlog(due=40, due_for=3.0, unstarted=2, unstarted_for=29.9)
    sagas = cast("Any", SimpleNamespace())

    async def backlog(*, most: int) -> Backlog:
        assert most == 10_000
        return counted

    sagas.backlog = backlog
    meter = BacklogMeter(sagas)
    assert meter.degraded() is None
    await meter.count()
    assert meter.degraded() is None
    counted = Backlog(due=10_000, due_for=95.0, unstarted=2, unstarted_for=0.0)
    await meter.count()
    assert (meter.degraded() or "").startswith("more than 10,002 sagas wait for a runner, the oldest for 1m 35s")
    assert REGISTRY.get_sample_value("orderdeck_saga_backlog", {"kind": "due"}) == 10_000
    assert REGISTRY.get_sample_value("orderdeck_saga_backlog_seconds", {"kind": "due"}) == 95
