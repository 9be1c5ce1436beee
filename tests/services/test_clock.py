"""A machine whose clock is ten minutes off the database's gives no saga up too early, and tries none for too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from core.adapters.postgres import clock as adapter
from core.adapters.postgres.clock import DatabaseClock
from core.adapters.postgres.connection import Connection, Link, connect
from core.bootstrap import bootstrap
from core.domain.provider import Approved, PaymentAnswer
from core.errors import GatewayUnavailable, Unavailable
from core.services.sagas import advance
from core.settings import load_settings
from tests.support.logins import of_daemons
from tests.support.order_desk import Desk

# Names found before the server's own: to everything in this database, it is another time than to this process.
SHIFT = """
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$ SELECT pg_catalog.clock_timestamp() + interval '{minutes} min' $$;
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT pg_catalog.now() + interval '{minutes} min' $$;
ALTER FUNCTION append_events SET search_path = public, pg_catalog, pg_temp;
"""
NAMES = "options=-c%20search_path%3Dpublic%2Cpg_catalog"
SECOND = timedelta(seconds=1)


@pytest.fixture
def dsn(dsn: str) -> str:
    """The address of the test's database, with the search path that finds our functions first."""
    return f"{dsn}&{NAMES}"


@pytest.fixture(params=[-10, 10], ids=["behind", "ahead"])
async def shifted(request: pytest.FixtureRequest, dsn: str) -> timedelta:
    """How far the database's clock is from this process's."""
    connection = await connect(dsn, name="admin", role=None)
    await connection.execute(SHIFT.format(minutes=request.param))
    await connection.close()
    return timedelta(minutes=request.param)


class Away:
    """A provider that cannot be reached for some tries; then it answers."""

    def __init__(self, tries: int) -> None:
        self.left = tries

    def room(self) -> int:
        return 1

    def is_away(self) -> bool:
        return False

    async def authorise(self, key: str, **_: object) -> PaymentAnswer:
        self.left -= 1
        if self.left >= 0:
            raise GatewayUnavailable("away")
        return Approved(key)

    async def void(self, key: str, **_: object) -> PaymentAnswer:
        return Approved(key)


@pytest.fixture
async def clock(opener: Callable[[], Awaitable[Connection]], shifted: timedelta) -> AsyncIterator[DatabaseClock]:
    link = Link(opener)
    clock = DatabaseClock(link)
    await clock.look()
    assert abs(clock.now() - datetime.now(UTC) - shifted) < SECOND
    yield clock
    link.close()


async def test_a_runner_with_a_wrong_clock_compensates_no_saga_before_its_deadline(
    desk: Desk, clock: DatabaseClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advance, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(advance, "LONGEST_WANTED", 0.0)
    desk.clock, desk.gateway = clock, Away(tries=6)  # type: ignore[assignment]
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place()
        assert await desk.ended(order) == "SagaCompleted"


async def test_a_runner_with_a_wrong_clock_compensates_a_saga_once_its_deadline_is_over(
    desk: Desk, clock: DatabaseClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advance, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(advance, "LONGEST_WANTED", 0.0)
    desk.clock, desk.gateway = clock, Away(tries=10**6)  # type: ignore[assignment]
    desk.scale = 0.002  # 0.6 s for an authorisation
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place()
        assert await desk.ended(order) == "SagaCompensated"
    started = (await desk.timeline(order))[0].recorded_at
    assert (await desk.timeline(order))[-1].recorded_at - started > 0.6 * SECOND


async def test_every_program_uses_the_databases_clock(dsn: str, shifted: timedelta) -> None:
    async with bootstrap(load_settings(database_url=of_daemons(dsn)), name="test") as app:
        assert abs(app.clock.now() - datetime.now(UTC) - shifted) < SECOND


async def test_a_clock_that_differs_from_the_databases_is_corrected_at_the_next_reading(
    opener: Callable[[], Awaitable[Connection]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monotonic clock of a machine that slept stands still meanwhile."""
    monkeypatch.setattr(adapter, "LOOK_EVERY", 0.01)
    ticks, link = [0.0], Link(opener)
    clock = DatabaseClock(link, lambda: ticks[0])
    await clock.look()
    ticks[0] = -600.0
    assert datetime.now(UTC) - clock.now() > timedelta(minutes=9)
    keeping = asyncio.create_task(clock.keep())
    async with asyncio.timeout(60):
        while abs(datetime.now(UTC) - clock.now()) > SECOND:
            await asyncio.sleep(0.01)
    keeping.cancel()
    link.close()


async def test_without_the_database_the_clock_goes_on_from_its_last_reading(
    opener: Callable[[], Awaitable[Connection]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "LOOK_EVERY", 0.001)
    away, asked = asyncio.Event(), 0

    async def open_() -> Connection:
        nonlocal asked
        if away.is_set():
            asked += 1
            return await connect("postgresql://nobody@127.0.0.1:1/none", name="test")
        return await opener()

    link = Link(open_)
    clock = DatabaseClock(link)
    await clock.look()
    link.drop()
    away.set()
    with pytest.raises(Unavailable):
        await clock.look()
    keeping = asyncio.create_task(clock.keep())
    async with asyncio.timeout(60):
        while asked < 3:
            await asyncio.sleep(0.001)
    assert not keeping.done()
    assert abs(datetime.now(UTC) - clock.now()) < SECOND
    keeping.cancel()
    link.close()
