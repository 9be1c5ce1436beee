from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from hypothesis import given
from hypothesis import strategies as st

from tests.support.deck_harness import Clock, desk_with
from tests.support.fake_gateway import FakeGateway, frame
from tui import feed as feed_module
from tui.feed import BACKLOG, Feed, Splitter
from tui.viewmodels.ring import Ring


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.booleans())
def test_every_frame_is_taken_in_once_however_the_bytes_are_cut(cuts: list[int], crlf: bool) -> None:  # noqa: FBT001
    gateway = desk_with(3)
    sent = b": hello\n\n" + b"".join(frame(event) for event in gateway.log)
    if crlf:
        sent = sent.replace(b"\n", b"\r\n")
    splitter, feed, at, n = Splitter(), new_feed(gateway), 0, 0
    while at < len(sent):
        chunk = sent[at : at + cuts[n % len(cuts)]]
        at, n = at + len(chunk), n + 1
        for each in splitter.split(chunk):
            feed.take(each)
    assert positions(feed) == list(range(1, len(gateway.log) + 1))
    assert feed.malformed == feed.duplicates == feed.lost == 0


def new_feed(gateway: FakeGateway) -> Feed:
    return Feed(gateway, Ring(), Clock())


def positions(feed: Feed) -> list[int]:
    return [f.position for _, f in feed.ring.since(0)]


@asynccontextmanager
async def running(feed: Feed) -> AsyncIterator[Callable[[Callable[[], bool]], Awaitable[None]]]:
    task = asyncio.create_task(feed.run())

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                feed.retry_now()
                await asyncio.sleep(0)

    try:
        yield until
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_feed_that_broke_goes_on_after_its_last_event_without_gap_or_duplicate() -> None:
    gateway = desk_with(4)
    feed = new_feed(gateway)
    async with running(feed) as until:
        await until(lambda: feed.position == len(gateway.log))
        for n in range(10, 15):
            gateway.cut_feed()
            gateway.place(n)
            await until(lambda: feed.position == len(gateway.log))
    assert positions(feed) == list(range(1, len(gateway.log) + 1))
    assert (feed.lost, feed.duplicates) == (0, 0)
    assert len(gateway.feeds_opened_after) == 6
    assert feed.reconnects == 5


async def test_a_feed_that_is_down_says_so_and_comes_back_by_itself() -> None:
    gateway = desk_with(2)
    gateway.feed_down = True
    feed = new_feed(gateway)
    async with running(feed) as until:
        await until(lambda: feed.state == "lost")
        assert feed.reason == "desk.test does not answer"
        gateway.feed_down = False
        await until(lambda: feed.state == "live")
        await until(lambda: feed.position == len(gateway.log))


async def test_the_first_try_comes_after_a_quarter_of_a_second_and_no_wait_is_longer_than_a_second_and_a_half() -> None:
    waits: list[float] = []

    class Impatient(Feed):
        """Notes each wait instead of waiting; gives up after five."""

        async def _wait(self, delay: float) -> None:
            waits.append(delay)
            if len(waits) == 5:
                raise asyncio.CancelledError

    gateway = FakeGateway()
    gateway.feed_down = True
    with suppress(asyncio.CancelledError):
        await Impatient(gateway, Ring(), Clock()).run()
    assert waits == [0.25, 0.5, 1.0, 1.5, 1.5]


async def test_the_stream_starts_a_little_before_the_head() -> None:
    gateway = desk_with(120)
    feed = new_feed(gateway)
    async with running(feed) as until:
        await until(lambda: feed.position == len(gateway.log))
    assert positions(feed)[0] == len(gateway.log) - BACKLOG + 1


def test_duplicates_are_dropped_and_gaps_counted() -> None:
    gateway = desk_with(4)
    feed = new_feed(gateway)
    for n in (0, 1, 1, 0, 2, 6):
        feed.take(frame(gateway.log[n]).rstrip(b"\n"))
    assert positions(feed) == [1, 2, 3, 7]
    assert (feed.duplicates, feed.lost) == (2, 3)


def test_events_that_the_server_skipped_count_as_lost_once() -> None:
    gateway = desk_with(4)
    feed = new_feed(gateway)
    feed.take(frame(gateway.log[0]).rstrip(b"\n"))
    feed.take(b'event: skipped\ndata: {"after": 1, "before": 6, "count": 4}')
    feed.take(frame(gateway.log[5]).rstrip(b"\n"))
    assert positions(feed) == [1, 6]
    assert feed.lost == 4


def test_unreadable_frames_are_counted_and_the_feed_goes_on() -> None:
    feed = new_feed(FakeGateway())
    noise = (b"garbage", b"id: x\ndata: {}", b"data: {}", b"id: 99", b"event: skipped\ndata: [", b"\x00\xff", b": fine")
    for each in noise:
        feed.take(each)
    feed.take(b"id: 1\nevent: \xff\xfe\ndata: " + json.dumps({}).encode())
    assert feed.malformed == 6
    assert positions(feed) == [1]


def test_a_frame_without_an_end_is_given_up_before_it_fills_the_memory(monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(feed_module, "LARGEST_FRAME", 100)
    splitter = Splitter()
    try:
        for _ in range(20):
            list(splitter.split(b"x" * 10))
    except feed_module.Unreachable as error:
        assert "without an end" in str(error)  # noqa: PT017 - how many chunks it takes does not matter
    else:
        raise AssertionError


async def test_after_the_log_was_replaced_the_feed_begins_at_the_head_of_the_new_one() -> None:
    gateway = desk_with(3)
    feed = new_feed(gateway)
    async with running(feed) as until:
        await until(lambda: feed.position == len(gateway.log))
        del gateway.log[4:]
        gateway.cut_feed()
        await until(lambda: feed.restarts == 1 and feed.state == "live")
        await until(lambda: feed.position == 4)
        gateway.record("order", "o", "OrderConfirmed", {})
        await until(lambda: feed.position == 5)
