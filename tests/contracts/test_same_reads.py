"""Reads of the same key are shared by those who came before they began, and by nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest

from core.adapters.coalesce import Coalescer, SameReads
from core.errors import Unavailable


class Shelf:
    """Notes each read when it begins; each waits until `release` is called, and answers how many began before it."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.wrong: list[str] = []
        self._released = asyncio.Semaphore(0)

    async def read(self, key: str) -> int:
        number = len(self.began)
        self.began.append(key)
        await self._released.acquire()
        if key in self.wrong:
            raise Unavailable(key)
        return number

    def release(self, reads: int) -> None:
        for _ in range(reads):
            self._released.release()


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_comes_while_a_read_is_under_way_waits_for_the_next_which_all_of_them_share() -> None:
    shelf = Shelf()
    reads = SameReads(shelf.read)
    first = [asyncio.create_task(reads.get("a")) for _ in range(3)]
    await turn()
    later = [asyncio.create_task(reads.get("a")) for _ in range(4)]
    await turn()
    assert shelf.began == ["a"]
    shelf.release(1)
    assert await asyncio.gather(*first) == [0, 0, 0]
    assert not any(one.done() for one in later)
    shelf.release(1)
    assert await asyncio.gather(*later) == [1, 1, 1, 1]
    assert shelf.began == ["a", "a"]


async def test_reads_of_several_keys_run_side_by_side() -> None:
    shelf = Shelf()
    reads = SameReads(shelf.read)
    both = [asyncio.create_task(reads.get(key)) for key in ("a", "b", "a")]
    await turn()
    assert shelf.began == ["a", "b"]
    shelf.release(2)
    assert await asyncio.gather(*both) == [0, 1, 0]


async def test_a_caller_who_goes_takes_the_answer_from_nobody() -> None:
    shelf = Shelf()
    reads = SameReads(shelf.read)
    gone, stays = asyncio.create_task(reads.get("a")), asyncio.create_task(reads.get("a"))
    await turn()
    gone.cancel()
    waiting, alone = asyncio.create_task(reads.get("a")), asyncio.create_task(reads.get("b"))
    await turn()
    alone.cancel()
    shelf.release(3)
    assert await stays == 0
    assert await waiting == 2
    assert gone.cancelled()


async def test_an_error_goes_to_all_who_wait_for_the_read_and_to_nobody_later() -> None:
    shelf = Shelf()
    reads = SameReads(shelf.read)
    shelf.wrong = ["a"]
    both = [asyncio.create_task(reads.get("a")) for _ in range(2)]
    await turn()
    later = asyncio.create_task(reads.get("a"))
    shelf.release(1)
    for error in await asyncio.gather(*both, return_exceptions=True):
        assert isinstance(error, Unavailable)
    shelf.wrong = []
    shelf.release(1)
    assert await later == 1


Read = Callable[[str], Awaitable[int]]
Get = Callable[[str], Coroutine[Any, Any, int | None]]


def one_by_one(read: Read) -> Get:
    return SameReads(read).get


def together(read: Read) -> Get:
    async def fetch(keys: Sequence[str]) -> Mapping[str, int]:
        return {key: await read(key) for key in keys}

    return Coalescer(fetch).get


@pytest.mark.parametrize("shared", [one_by_one, together])
async def test_who_waits_for_a_read_that_is_cancelled_is_told_at_once_and_the_next_caller_reads_anew(
    shared: Callable[[Read], Get],
) -> None:
    shelf, readers = Shelf(), list[asyncio.Task[object] | None]()

    async def read(key: str) -> int:
        readers.append(asyncio.current_task())
        return await shelf.read(key)

    get = shared(read)
    waiting = [asyncio.create_task(get("a"))]
    await turn()
    waiting.append(asyncio.create_task(get("a")))  # for the read after that one
    await turn()
    assert readers[0] is not None
    readers[0].cancel()
    async with asyncio.timeout(5):
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, Unavailable)
        shelf.release(1)
        assert await get("a") == 1
