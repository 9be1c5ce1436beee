"""Turns at deciding on stock: one process has one at a time, and nobody waits for long for one that is frozen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.stock_turns import PostgresStockTurns
from tests.support.opener import Opener

HELD = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = hashtext('turns')::oid AND granted"


@pytest.fixture
async def turns(opener: Opener) -> AsyncIterator[list[PostgresStockTurns]]:
    """Those of three processes."""
    several = [PostgresStockTurns(opener) for _ in range(3)]
    yield several
    for each in several:
        each.close()


async def test_only_one_process_has_the_turn_at_a_time(turns: list[PostgresStockTurns]) -> None:
    inside, most = 0, 0

    async def decide(mine: PostgresStockTurns) -> None:
        nonlocal inside, most
        for _ in range(10):
            async with mine.take():
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1

    await asyncio.gather(*map(decide, turns))
    assert most == 1


async def test_a_frozen_process_loses_its_turn_within_two_seconds_and_goes_on_without_an_error(
    turns: list[PostgresStockTurns], admin: Connection
) -> None:
    began = time.monotonic()
    async with turns[0].take():
        for _ in range(2):  # the second one finds that the server has taken the turn away
            async with turns[1].take():
                pass
        assert 0.5 < time.monotonic() - began < 4
        assert not await admin.fetch(HELD)
    async with turns[0].take():
        assert len(await admin.fetch(HELD)) == 1, "it takes turns again on a new connection"
    assert not await admin.fetch(HELD)


async def test_without_a_database_a_block_begins_without_a_turn(opener: Opener) -> None:
    async def refuse() -> Connection:
        raise ConnectionRefusedError

    turns, done = PostgresStockTurns(refuse), False
    async with turns.take():
        done = True
    assert done


async def test_a_turn_ends_when_its_block_fails_or_is_cancelled(
    turns: list[PostgresStockTurns], admin: Connection
) -> None:
    with pytest.raises(ValueError, match="wrong"):
        async with turns[0].take():
            raise ValueError("wrong")
    assert not await admin.fetch(HELD)

    async def hold() -> None:
        async with turns[0].take():
            await asyncio.sleep(60)

    holding = asyncio.create_task(hold())
    while not await admin.fetch(HELD):
        await asyncio.sleep(0.01)
    holding.cancel()
    await asyncio.wait([holding])
    assert not await admin.fetch(HELD)
