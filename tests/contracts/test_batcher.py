"""The batcher: which appends are sent in one batch, which wait for which, and that each is sent once and in order."""

from __future__ import annotations

import asyncio
import time
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


class Sender:
    """Notes the batches that it is given; each waits until `release` is called, none when `released`."""

    def __init__(self, *, released: bool = False) -> None:
        self.sent: list[list[Item]] = []
        self.failing: set[int] = set()
        self._released = asyncio.Event()
        self._sending = asyncio.Event()
        if released:
            self._released.set()

    async def send(self, batch: Sequence[Waiting[Item, int]]) -> None:
        self.sent.append([waiting.item for waiting in batch])
        self._sending.set()
        await self._released.wait()
        await asyncio.sleep(0)
        if self.failing & {waiting.item.name for waiting in batch}:
            raise ValueError("wrong")
        for waiting in batch:
            waiting.settle(waiting.item.name)

    async def is_sending(self) -> None:
        async with asyncio.timeout(5):
            await self._sending.wait()

    def release(self) -> None:
        self._released.set()

    def names(self) -> list[list[int]]:
        return [[item.name for item in batch] for batch in self.sent]


async def submit_all(batcher: Batcher[Item, int], *items: Item) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_a_single_append_is_sent_at_once_and_appends_that_arrive_meanwhile_are_sent_together() -> None:
    sender = Sender()
    batcher = Batcher[Item, int](sender.send)
    first = await submit_all(batcher, Item(1))
    await sender.is_sending()
    rest = await submit_all(batcher, Item(2), Item(3), Item(4))
    assert sender.names() == [[1]]
    sender.release()
    assert await asyncio.gather(*first, *rest) == [1, 2, 3, 4]
    assert sender.names() == [[1], [2, 3, 4]]


async def test_many_appends_keep_their_spacing_and_what_arrives_within_it_is_sent_together() -> None:
    sender, spacing = Sender(released=True), 0.2
    batcher = Batcher[Item, int](sender.send, spacing=spacing)
    batcher.LATELY = 60.0
    few = range(1, Batcher.MANY)
    began = time.monotonic()
    assert [await batcher.submit(Item(n)) for n in few] == list(few)
    assert time.monotonic() - began < spacing, "a few are sent at once, one after the other"
    last = time.monotonic()
    assert await asyncio.gather(*(batcher.submit(Item(n)) for n in (20, 30))) == [20, 30]
    assert time.monotonic() - last >= spacing / 2
    assert sender.names() == [*([n] for n in few), [20, 30]]


async def test_an_append_that_touches_the_same_stream_as_an_earlier_one_is_sent_in_a_later_batch() -> None:
    sender = Sender(released=True)
    batcher = Batcher[Item, int](sender.send)
    a, b, c = frozenset("a"), frozenset("b"), frozenset("c")
    tasks = await submit_all(batcher, Item(1, a), Item(2, a | b), Item(3, b), Item(4, c), Item(5, b | c), Item(6))
    await asyncio.gather(*tasks)
    assert sender.names() == [[1, 4, 6], [2], [3], [5]]  # 3 waits for 2 although no batch with b is being sent


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
    sender = Sender(released=True)
    batcher = Batcher[Item, int](sender.send)
    await asyncio.gather(*await submit_all(batcher, *(Item(n, **item) for n in range(count))))
    assert [len(batch) for batch in sender.sent] == batches
    assert [name for batch in sender.names() for name in batch] == list(range(count))


async def test_a_full_queue_refuses_the_next_append_and_sends_all_that_it_accepted() -> None:
    sender = Sender()
    batcher = Batcher[Item, int](sender.send, room=3)
    tasks = await submit_all(batcher, Item(0))
    await sender.is_sending()
    assert not batcher.full
    tasks += await submit_all(batcher, Item(1), Item(2), Item(3))
    assert batcher.full
    with pytest.raises(QueueFull):
        await batcher.submit(Item(4))
    sender.release()
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3]
    assert not batcher.full
    assert await batcher.submit(Item(5)) == 5


async def test_a_batch_that_fails_fails_only_its_own_appends_and_the_next_batches_are_sent() -> None:
    sender = Sender()
    sender.failing = {2}
    batcher = Batcher[Item, int](sender.send)
    tasks = await submit_all(batcher, Item(1))
    await sender.is_sending()
    tasks += await submit_all(batcher, Item(2, frozenset("a")), Item(3), Item(4, frozenset("a")))
    sender.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert (results[0], results[3]) == (1, 4)
    assert all(isinstance(results[n], ValueError) for n in (1, 2))


async def test_a_caller_that_gives_up_does_not_disturb_the_other_appends() -> None:
    sender = Sender()
    batcher = Batcher[Item, int](sender.send)
    tasks = await submit_all(batcher, Item(1))
    await sender.is_sending()
    tasks += await submit_all(batcher, Item(2, frozenset("a")), Item(3, frozenset("a")), Item(4))
    tasks[0].cancel()  # it is being sent: it cannot be taken back
    tasks[1].cancel()  # it is not sent yet: it never is, and no other waits for it
    await asyncio.sleep(0)
    sender.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[2:] == [3, 4]
    assert sender.names() == [[1], [3, 4]]


async def test_closing_the_batcher_sends_the_waiting_appends_and_refuses_new_ones() -> None:
    sender = Sender()
    batcher = Batcher[Item, int](sender.send)
    tasks = await submit_all(batcher, Item(1), Item(2, frozenset("a")), Item(3, frozenset("a")))
    closing = asyncio.create_task(batcher.close())
    await sender.is_sending()
    with pytest.raises(Unavailable):
        await batcher.submit(Item(4))
    sender.release()
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
    sender = Sender(released=True)
    batcher = Small(sender.send)
    items: list[Item] = []
    tasks: list[asyncio.Task[int]] = []
    for arriving in arrivals:
        new = [Item(len(items) + n, *what) for n, what in enumerate(arriving)]
        items += new
        tasks += await submit_all(batcher, *new)
        for name in given_up & {item.name for item in new}:
            tasks[name].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    batch_of = {name: n for n, batch in enumerate(sender.names()) for name in batch}
    assert sum(len(batch) for batch in sender.sent) == len(batch_of)
    for item, outcome in zip(items, outcomes, strict=True):
        if item.name not in given_up:
            assert outcome == item.name
            assert item.name in batch_of
    for batch in sender.sent:
        assert len(batch) <= Small.MOST_APPENDS
        assert len(batch) == 1 or sum(item.events for item in batch) <= Small.MOST_EVENTS
        assert len(batch) == 1 or sum(item.size for item in batch) <= Small.MOST_BYTES
    for late in items:
        for early in items[: late.name]:
            if early.touches & late.touches and {early.name, late.name} <= batch_of.keys():
                assert batch_of[early.name] < batch_of[late.name]
