"""The saga runner's loops: one that stands still, or waits for the database, holds up neither the rest nor its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.subscription import PostgresSubscription
from core.codec import StoredEvent
from core.errors import DatabaseFault, Unavailable, UnknownEvent
from daemons import saga_runner
from daemons.process.vitals import Vitals
from tests.support.log import append, entry, stream


class Reader:
    """A runner that starts nothing: it fails on the second event, as often as it sees it."""

    def __init__(self) -> None:
        self.failed = asyncio.Event()
        self.tries = 0

    async def start(self, batch: list[StoredEvent]) -> None:
        if batch[-1].position > 1:
            self.tries += 1
            if self.tries > 1:
                self.failed.set()
            raise UnknownEvent("OrderCreated", 2)


async def test_the_saga_runner_tries_again_to_read_an_event_and_does_not_end(
    store: PostgresEventStore, opener: Callable[[], Awaitable[Connection]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saga_runner, "TRY_AGAIN_EVERY", 0.01)
    monkeypatch.setattr(saga_runner, "BATCH", 1)
    for _ in range(3):
        await store.append(append(entry(stream())))
    app: Any = SimpleNamespace(subscription=lambda: PostgresSubscription(opener), store=store)
    reader: Any = Reader()
    progress, vitals = saga_runner.LogProgress(app, reader, 0), Vitals("saga-runner")
    with capture_logs() as logs:
        following = asyncio.create_task(saga_runner._follow(app, reader, progress, vitals))
        async with asyncio.timeout(10):
            await reader.failed.wait()
            assert not following.done()
            assert progress.position == 1
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


async def test_the_runner_stops_although_a_start_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_runner, "FINISH_STARTING", 0.01)
    stop = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        following = group.create_task(asyncio.sleep(3_600))
        group.create_task(saga_runner._end(following, stop))
        stop.set()
    assert following.cancelled()
