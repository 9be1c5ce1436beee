"""Group commit: who leaves together, who must wait behind whom, and that nobody is lost, doubled or overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.postgres.batcher import Batcher, Waiting
from core.errors import QueueFull, Unavailable


@dataclass(frozen=True)
class Item:
    name: int
    touches: frozenset[str] = frozenset()
    events: int = 1
    size: int = 100


class Line:
    """Batches as they are sent; each is held until `let` is called, unless `open`."""

    def __init__(self, *, open_: bool = False) -> None:
        self.sent: list[list[Item]] = []
        self.wrong: set[int] = set()
        self._open = asyncio.Event()
        self._sending = asyncio.Event()
        if open_:
            self._open.set()

    async def send(self, batch: Sequence[Waiting[Item, int]]) -> None:
        self.sent.append([waiting.item for waiting in batch])
        self._sending.set()
        await self._open.wait()
        await asyncio.sleep(0)
        if self.wrong & {waiting.item.name for waiting in batch}:
            raise ValueError("wrong")
        for waiting in batch:
            waiting.settle(waiting.item.name)

    async def is_sending(self) -> None:
        async with asyncio.timeout(5):
            await self._sending.wait()

    def let(self) -> None:
        self._open.set()

    def names(self) -> list[list[int]]:
        return [[item.name for item in batch] for batch in self.sent]


async def submitted(batcher: Batcher[Item, int], *items: Item) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_a_single_append_is_sent_at_once_and_appends_that_arrive_meanwhile_are_sent_together() -> None:
    line = Line()
    batcher = Batcher[Item, int](line.send)
    first = await submitted(batcher, Item(1))
    await line.is_sending()
    rest = await submitted(batcher, Item(2), Item(3), Item(4))
    assert line.names() == [[1]]
    line.let()
    assert await asyncio.gather(*first, *rest) == [1, 2, 3, 4]
    assert line.names() == [[1], [2, 3, 4]]


async def test_an_append_that_touches_the_same_stream_as_an_earlier_one_is_sent_in_a_later_batch() -> None:
    line = Line(open_=True)
    batcher = Batcher[Item, int](line.send)
    a, b, c = frozenset("a"), frozenset("b"), frozenset("c")
    tasks = await submitted(batcher, Item(1, a), Item(2, a | b), Item(3, b), Item(4, c), Item(5, b | c), Item(6))
    await asyncio.gather(*tasks)
    assert line.names() == [[1, 4, 6], [2], [3], [5]]  # 3 waits for 2 although b is not on its way


@pytest.mark.parametrize(
    ("item", "count", "batches"),
    [
        ({}, 600, [256, 256, 88]),
        ({"events": 300}, 7, [3, 3, 1]),
        ({"events": 1_000}, 2, [1, 1]),
        ({"events": 5_000}, 2, [1, 1]),
        ({"size": 1 << 18}, 9, [4, 4, 1]),
        ({"size": 5 << 20}, 2, [1, 1]),
    ],
)
async def test_a_batch_ends_at_256_appends_1000_events_or_a_mebibyte(
    item: dict[str, Any], count: int, batches: list[int]
) -> None:
    line = Line(open_=True)
    batcher = Batcher[Item, int](line.send)
    await asyncio.gather(*await submitted(batcher, *(Item(n, **item) for n in range(count))))
    assert [len(batch) for batch in line.sent] == batches
    assert [name for batch in line.names() for name in batch] == list(range(count))


async def test_a_full_queue_refuses_the_next_append_and_sends_all_that_it_accepted() -> None:
    line = Line()
    batcher = Batcher[Item, int](line.send, room=3)
    tasks = await submitted(batcher, Item(0))
    await line.is_sending()
    assert not batcher.full
    tasks += await submitted(batcher, Item(1), Item(2), Item(3))
    assert batcher.full
    with pytest.raises(QueueFull):
        await batcher.submit(Item(4))
    line.let()
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3]
    assert not batcher.full
    assert await batcher.submit(Item(5)) == 5


async def test_a_batch_that_fails_fails_only_its_own_appends_and_the_next_batches_are_sent() -> None:
    line = Line()
    line.wrong = {2}
    batcher = Batcher[Item, int](line.send)
    tasks = await submitted(batcher, Item(1))
    await line.is_sending()
    tasks += await submitted(batcher, Item(2, frozenset("a")), Item(3), Item(4, frozenset("a")))
    line.let()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert (found[0], found[3]) == (1, 4)
    assert all(isinstance(found[n], ValueError) for n in (1, 2))


async def test_a_caller_that_gives_up_does_not_disturb_the_other_appends() -> None:
    line = Line()
    batcher = Batcher[Item, int](line.send)
    tasks = await submitted(batcher, Item(1))
    await line.is_sending()
    tasks += await submitted(batcher, Item(2, frozenset("a")), Item(3, frozenset("a")), Item(4))
    tasks[0].cancel()  # on its way: nobody can call it back
    tasks[1].cancel()  # not sent yet: it never is, and nobody waits for it
    await asyncio.sleep(0)
    line.let()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found[2:] == [3, 4]
    assert line.names() == [[1], [3, 4]]


async def test_closing_the_batcher_sends_the_waiting_appends_and_refuses_new_ones() -> None:
    line = Line()
    batcher = Batcher[Item, int](line.send)
    tasks = await submitted(batcher, Item(1), Item(2, frozenset("a")), Item(3, frozenset("a")))
    closing = asyncio.create_task(batcher.close())
    await line.is_sending()
    with pytest.raises(Unavailable):
        await batcher.submit(Item(4))
    line.let()
    await closing
    assert [task.result() for task in tasks] == [1, 2, 3]
    await batcher.close()


class Small(Batcher[Item, int]):
    MOST_APPENDS, MOST_EVENTS, MOST_BYTES = 4, 10, 1_000


ITEMS = st.builds(
    lambda touches, events, size: (frozenset(touches), events, size),
    st.sets(st.sampled_from("abcde"), max_size=3),
    st.integers(0, 12),
    st.integers(0, 1_200),
)


@given(arrivals=st.lists(st.lists(ITEMS, max_size=12), max_size=6), given_up=st.sets(st.integers(0, 40)))
async def test_the_batcher_sends_every_append_once_and_appends_to_one_stream_in_their_order(
    arrivals: list[list[tuple[frozenset[str], int, int]]], given_up: set[int]
) -> None:
    line = Line(open_=True)
    batcher = Small(line.send)
    items: list[Item] = []
    tasks: list[asyncio.Task[int]] = []
    for arriving in arrivals:
        new = [Item(len(items) + n, *what) for n, what in enumerate(arriving)]
        items += new
        tasks += await submitted(batcher, *new)
        for name in given_up & {item.name for item in new}:
            tasks[name].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    batch_of = {name: n for n, batch in enumerate(line.names()) for name in batch}
    assert sum(len(batch) for batch in line.sent) == len(batch_of)
    for item, outcome in zip(items, outcomes, strict=True):
        if item.name not in given_up:
            assert outcome == item.name
            assert item.name in batch_of
    for batch in line.sent:
        assert len(batch) <= Small.MOST_APPENDS
        assert len(batch) == 1 or sum(item.events for item in batch) <= Small.MOST_EVENTS
        assert len(batch) == 1 or sum(item.size for item in batch) <= Small.MOST_BYTES
    for late in items:
        for early in items[: late.name]:
            if early.touches & late.touches and {early.name, late.name} <= batch_of.keys():
                assert batch_of[early.name] < batch_of[late.name]
