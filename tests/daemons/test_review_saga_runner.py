"""The saga runner's loops: one that stands still, or waits for the database, holds up neither the rest nor its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.subscription import PostgresSubscription
from core.codec import StoredEvent
from core.errors import UnknownEvent
from daemons import saga_runner
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


async def test_an_event_that_cannot_be_read_is_tried_again_and_ends_nothing(
    store: PostgresEventStore, opener: Callable[[], Awaitable[Connection]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saga_runner, "TRY_AGAIN_EVERY", 0.01)
    monkeypatch.setattr(saga_runner, "BATCH", 1)
    for _ in range(3):
        await store.append(append(entry(stream())))
    app: Any = SimpleNamespace(subscription=lambda: PostgresSubscription(opener), store=store)
    reader: Any = Reader()
    progress, stop = saga_runner.LogProgress(app, 0), asyncio.Event()
    following = asyncio.create_task(saga_runner._follow(app, reader, progress, stop))
    async with asyncio.timeout(10):
        await reader.failed.wait()
        assert not following.done()
        assert progress.position == 1
        stop.set()
        await following


async def test_a_start_that_waits_for_ever_does_not_keep_it_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_runner, "FINISH_STARTING", 0.01)
    stop = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        following = group.create_task(asyncio.sleep(3_600))
        group.create_task(saga_runner._end(following, stop))
        stop.set()
    assert following.cancelled()
