"""The projector as a process: killed at any time it goes on where it was, and says so when it does not go on."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from msgspec.structs import replace

from core.adapters.postgres.connection import connect
from tests.support.daemon_process import DaemonProcess
from tests.support.orders import Sample, contents, write
from tests.support.projecting import project


@pytest.fixture
async def projector(dsn: str, tmp_path: Path) -> AsyncIterator[DaemonProcess]:
    process = DaemonProcess("projector", dsn, tmp_path)
    yield process
    process.kill()


async def until(what: Any, within: float = 30) -> Any:
    """Call it again and again until its result is true, and return that."""
    deadline = time.monotonic() + within
    while not (found := await what()):
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.02)
    return found


async def position(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    found = await connection.fetchval("SELECT min(position) FROM checkpoints WHERE reader LIKE 'projector.%'")
    await connection.close()
    return found or 0


async def readers(dsn: str) -> dict[str, int]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT reader, position FROM checkpoints")
    await connection.close()
    return {row["reader"]: row["position"] for row in rows}


async def test_a_projector_killed_again_and_again_fills_the_read_models_as_an_undisturbed_one(
    projector: DaemonProcess, dsn: str
) -> None:
    rng = random.Random(5)
    log = Sample(4_000, open_at_once=50).events()
    part = len(log) // 4
    for n in range(4):
        projector.start()
        await write(dsn, log[n * part : (n + 1) * part if n < 3 else len(log)])

        async def is_further(mark: int = n * part + rng.randrange(part)) -> bool:
            return await position(dsn) > mark

        await until(is_further)
        projector.kill()
    projector.start()

    async def has_caught_up() -> bool:
        return await position(dsn) == len(log)

    await until(has_caught_up)
    projector.kill()
    found = await contents(dsn)

    owner = await asyncpg.connect(dsn)
    await owner.execute("UPDATE checkpoints SET position = 0")
    await owner.close()
    await project(lambda: connect(dsn, name="test"))
    assert found == await contents(dsn)


async def test_a_projector_is_ready_once_it_has_caught_up_and_says_what_waits_behind_an_event_that_it_cannot_apply(
    projector: DaemonProcess, dsn: str
) -> None:
    projector.start()

    async def is_ready() -> bool:
        return (await projector.ready())[0] == 200

    await until(is_ready)
    [*good, last] = Sample(1, seed=3).events()
    await write(dsn, [*good, replace(last, payload='{"order_id": 1}', recorded_at=datetime.now(UTC))])

    async def went_on() -> bool:
        return await readers(dsn) == {"projector.orders": last.position, "projector.stock": last.position}

    await until(went_on)

    async def says_so() -> bool:
        async with httpx.AsyncClient(trust_env=False) as http:
            said = (await http.get(f"http://127.0.0.1:{projector.port}/ready")).json()
        return "orders: 1 row waits behind an event" in said.get("degraded", "")

    await until(says_so)
    assert await is_ready()


async def test_a_projector_that_stands_still_while_the_log_grows_is_not_ready(
    projector: DaemonProcess, dsn: str
) -> None:
    projector.start()

    async def is_ready() -> bool:
        return (await projector.ready())[0] == 200

    await until(is_ready)
    blocker = await asyncpg.connect(dsn)
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE order_views")  # it can read, and save nothing
        await write(dsn, [replace(event, recorded_at=datetime.now(UTC)) for event in Sample(1).events()])

        async def is_not() -> str:
            status, reason = await projector.ready()
            return reason if status == 503 else ""

        assert await until(is_not)
    await blocker.close()

    async def has_gone_on() -> bool:
        return await position(dsn) > 0

    await until(has_gone_on)
    await until(is_ready)  # its other group may still be at the event before


async def test_a_projector_ends_when_it_is_told_to(projector: DaemonProcess) -> None:
    projector.start()

    async def is_ready() -> bool:
        return (await projector.ready())[0] == 200

    await until(is_ready)
    assert projector.process is not None
    projector.process.terminate()
    assert await asyncio.to_thread(projector.process.wait, 10) == 0


async def test_a_projector_whose_log_was_replaced_by_an_older_one_says_so_and_fills_its_tables_again(
    projector: DaemonProcess, dsn: str
) -> None:
    log = Sample(20, seed=4).events()
    await write(dsn, log)
    projector.start()

    async def has_caught_up() -> bool:
        return await position(dsn) == len(log)

    await until(has_caught_up)
    owner = await asyncpg.connect(dsn)
    await owner.execute("ALTER TABLE events DISABLE TRIGGER ALL")
    await owner.execute("DELETE FROM events WHERE position > 5")
    await owner.close()

    async def reason_not_ready() -> str:
        status, reason = await projector.ready()
        return reason if status == 503 and "the log ends at 5" in reason else ""

    assert "was read up to" in await until(reason_not_ready)

    async def is_ready_again() -> bool:
        return (await projector.ready())[0] == 200 and set((await readers(dsn)).values()) == {5}

    await until(is_ready_again)
    found = await contents(dsn)
    projector.kill()
    owner = await asyncpg.connect(dsn)
    await owner.execute("UPDATE checkpoints SET position = 0")
    await owner.close()
    await project(lambda: connect(dsn, name="test"))
    assert found == await contents(dsn)


async def test_a_second_projector_takes_its_part_and_the_rest_when_the_first_is_killed(
    projector: DaemonProcess, dsn: str, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    second = DaemonProcess("projector", dsn, tmp_path / "second")
    owner = await asyncpg.connect(dsn)

    async def holders() -> int:
        return await owner.fetchval("SELECT count(DISTINCT owner) FROM reader_shares WHERE reader = 'projector'")

    async def both_hold_one() -> bool:
        return await holders() == 2

    async def one_holds_all() -> bool:
        return await owner.fetchval(
            "SELECT count(*) = 2 AND count(DISTINCT owner) = 1 FROM reader_shares WHERE reader = 'projector'"
            " AND lease_until > now() AND epoch > 1"
        )

    log = Sample(60).events()
    try:
        projector.start()
        await until(holders)
        second.start()
        await until(both_hold_one)
        await write(dsn, log[:100])

        async def has_followed() -> bool:
            return set((await readers(dsn)).values()) == {100}

        await until(has_followed)
        projector.kill()
        began = time.monotonic()
        await until(one_holds_all)
        assert time.monotonic() - began < 8  # of the 12 s of a lease, and on a busy machine
        await write(dsn, log[100:])

        async def has_caught_up() -> bool:
            return set((await readers(dsn)).values()) == {len(log)}

        await until(has_caught_up)
        assert (await second.ready())[0] == 200
    finally:
        second.kill()
        await owner.close()
