"""The event store without its server: an append that was never sent fails at once, and one in doubt in time."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from core.adapters.postgres import event_store
from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.errors import OutcomeUnknown, Unavailable
from core.ports.log import Accepted
from tests.support.customers import eventually
from tests.support.log import Wire, append, entry, log_held, stream


async def test_an_append_that_waits_behind_one_in_doubt_raises_unavailable_at_once(
    dsn: str, postgres: EmbeddedPostgres
) -> None:
    async with Wire(Path(postgres.home.postgres_sockets) / ".s.PGSQL.5432") as wire:
        store = PostgresEventStore(lambda: connect(wire.dsn(dsn), name="remote"))
        assert await store.append(append(entry(stream()))) == Accepted(1)
        async with log_held(dsn) as held:
            doubtful = asyncio.create_task(store.append(append(entry(stream()))))
            await held.waiting()
            waiting = asyncio.create_task(store.append(append(entry(stream()))))
            await asyncio.sleep(0)
            began = time.monotonic()
            wire.go_away()
            with pytest.raises(Unavailable) as away:
                await waiting
            assert type(away.value) is not OutcomeUnknown
            assert time.monotonic() - began < 3
            assert not doubtful.done()
            wire.come_back()
            await held.release()
        assert isinstance(await doubtful, Accepted)
        await store.close()


async def test_an_append_whose_outcome_cannot_be_settled_in_time_raises_unknown(
    dsn: str, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_store, "SETTLE_WITHIN", 0.5)
    async with Wire(Path(postgres.home.postgres_sockets) / ".s.PGSQL.5432") as wire:
        store = PostgresEventStore(lambda: connect(wire.dsn(dsn), name="remote"))
        async with log_held(dsn) as held:
            task = asyncio.create_task(store.append(append(entry(stream()))))
            await held.waiting()
            wire.go_away()
            with pytest.raises(OutcomeUnknown):
                await task
        began = time.monotonic()
        with pytest.raises(Unavailable) as away:  # nothing was sent of this one
            await store.append(append(entry(stream())))
        assert type(away.value) is Unavailable
        assert time.monotonic() - began < 2
        wire.come_back()
        await eventually(lambda: appended(store), 2)  # nobody tries to connect for half a second after a failure
        await store.close()


async def appended(store: PostgresEventStore) -> bool | None:
    try:
        return isinstance(await store.append(append(entry(stream()))), Accepted)
    except Unavailable:
        return None
