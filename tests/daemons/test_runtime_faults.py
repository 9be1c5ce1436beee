"""A daemon whose work meets a fault of the database reports it, tries again slowly, and goes on after the repair."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from structlog.testing import capture_logs

from core.errors import ConfigurationError, DatabaseFault, ShareLost, Unavailable
from daemons.process import vitals as process_vitals
from daemons.process import work_again
from daemons.process.vitals import Front, Vitals

FAULT = DatabaseFault("undefined column", "42703", 'column "spent" does not exist')


class Work:
    """A reader's work: it starts, and then meets an error as long as there is one."""

    def __init__(self, error: Exception) -> None:
        self.vitals = Vitals("projector")
        self.error: Exception | None = error
        self.tries = 0

    async def __call__(self) -> None:
        self.tries += 1
        self.vitals.started()
        if self.error is not None:
            raise self.error
        await self.vitals.stop.wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_again, "PAUSE_AFTER_FAULT", 0.01)
    monkeypatch.setattr(process_vitals, "STEADY", 0.2)


async def run_as_a_daemon(work: Callable[[], Awaitable[None]], vitals: Vitals) -> None:
    """Run the work as the runtime does it for every daemon."""
    await work_again.keep_up(
        work, vitals.stop, waits=vitals.waits, failed=vitals.failed, started=lambda: vitals.has_worked
    )


async def test_a_daemon_with_a_database_fault_is_never_ready_logs_it_once_and_goes_on_after_the_repair() -> None:
    work = Work(FAULT)
    transport = httpx.ASGITransport(Front(work.vitals))
    async with asyncio.timeout(20), httpx.AsyncClient(transport=transport, base_url="http://daemon") as client:
        with capture_logs() as logs:
            keeping = asyncio.create_task(run_as_a_daemon(work, work.vitals))
            while work.tries < 10:
                await asyncio.sleep(0.005)
                ready = await client.get("/ready")
                assert ready.status_code == 503
                assert "undefined column (42703)" in ready.json()["reason"]
            answer = await client.get("/api/v1/orders")
            work.error = None
            while (await client.get("/ready")).status_code != 200:
                await asyncio.sleep(0.005)
        work.vitals.stop.set()
        await keeping
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "spent" not in answer.text
    assert [entry["event"] for entry in logs] == ["ready", "meets a fault", "works again"]
    assert logs[1]["exc_info"] is FAULT


async def test_a_daemon_is_ready_as_soon_as_it_has_started_after_an_outage() -> None:
    work = Work(Unavailable("the database is away"))
    with capture_logs() as logs:
        keeping = asyncio.create_task(run_as_a_daemon(work, work.vitals))
        async with asyncio.timeout(20):
            while work.tries < 3:
                await asyncio.sleep(0.005)
            assert await work.vitals.why_not_ready() == "the database is away"
            work.error = None
            while await work.vitals.why_not_ready() is not None:
                await asyncio.sleep(0.005)
    work.vitals.stop.set()
    await keeping
    assert [entry["event"] for entry in logs if entry["event"] != "ready"] == ["waits"]


AWAY = Unavailable("the database is away")
LOST = ShareLost("projector.orders", (1,))


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([AWAY], "waits"),
        ([LOST, ExceptionGroup("more", [AWAY, AWAY])], "waits"),
        ([AWAY, FAULT], "meets a fault"),
        ([ExceptionGroup("more", [ExceptionGroup("still more", [AWAY, LOST]), FAULT]), AWAY], "meets a fault"),
    ],
)
async def test_what_several_tasks_meet_at_once_is_an_outage_unless_one_of_them_meets_a_fault(
    errors: list[Exception], told: str
) -> None:
    work = Work(ExceptionGroup("unhandled errors in a TaskGroup", errors))
    with capture_logs() as logs:
        keeping = asyncio.create_task(run_as_a_daemon(work, work.vitals))
        async with asyncio.timeout(20):
            while told not in [entry["event"] for entry in logs]:
                await asyncio.sleep(0.005)
        work.vitals.stop.set()
        await keeping
    said = [entry for entry in logs if entry["event"] != "ready"]
    assert [entry["event"] for entry in said] == [told]
    assert said[0].get("exc_info") is (None if told == "waits" else FAULT)


async def test_a_wrong_setting_that_one_of_several_tasks_meets_at_the_start_ends_the_daemon() -> None:
    async def begin() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())

    async def fail() -> None:
        raise ConfigurationError("REDIS_URL is wrong")

    with pytest.raises(ConfigurationError, match="REDIS_URL is wrong"):
        await run_as_a_daemon(begin, Vitals("projector"))


async def test_a_daemon_waits_for_an_outage_to_end_however_many_tries_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_again, "LONGEST_PAUSE", 0)
    vitals, tries = Vitals("projector"), 0

    async def away() -> None:
        nonlocal tries
        tries += 1
        if tries == 1_500:  # doubled so often, a pause is no float any more
            vitals.stop.set()
        raise Unavailable("the database is away")

    async with asyncio.timeout(20):
        await run_as_a_daemon(away, vitals)
    assert tries == 1_500


async def test_work_that_waits_for_ever_is_cancelled_soon_after_the_stop_and_what_it_raises_is_not_lost() -> None:
    stop, ended = asyncio.Event(), list[str]()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("hang")

    async def finish() -> None:
        await stop.wait()
        await asyncio.sleep(0)
        ended.append("finish")

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(work_again.cancel_after(stop, 0.01, hang()))
        group.create_task(work_again.cancel_after(stop, 10, finish()))
        await asyncio.sleep(0)
        stop.set()
    assert ended == ["finish", "hang"]

    async def fail() -> None:
        raise DatabaseFault("a table is missing")

    with pytest.raises(ExceptionGroup) as raised:
        await work_again.cancel_after(asyncio.Event(), 10, fail())
    assert raised.value.subgroup(DatabaseFault)
