"""What the stream reads from the log when the ring has it no longer, and what it never holds too much of."""

from __future__ import annotations

from tests.support.fake_gateway import FakeGateway, event_json
from tui.gateway import Unreachable
from tui.viewmodels.event_filter import EventFilter, parse_events
from tui.viewmodels.ring import Ring, RingFrame
from tui.viewmodels.stream import StreamModel
from tui.viewmodels.viewport import Viewport

TYPES = ("OrderCreated", "OrderShipped", "PaymentFailed", "SagaStepFailed")


def stream_of(gateway: FakeGateway, capacity: int) -> StreamModel:
    stream = StreamModel(Ring(capacity))
    for event in gateway.log:
        stream.ring.push(RingFrame(event["position"], event["event_type"], event_json(event)))
    stream.absorb([*stream.ring.since(0)])
    return stream


def log_of(events: int) -> FakeGateway:
    gateway = FakeGateway()
    for n in range(events):
        gateway.record("order", f"order-{n % 7}", TYPES[n % 4], {"n": n})
    return gateway


async def test_a_paused_stream_scrolls_both_ways_without_end_while_the_ring_turns_over() -> None:
    gateway = log_of(900)
    stream, view = stream_of(gateway, 50), Viewport(height=20)
    view.bound(stream.list.first, stream.list.end)
    view.tail()
    stream.pause()
    seen = set[int]()

    async def walk(rows: int) -> None:
        for _ in range(200):
            view.move(rows)
            older, newer = stream.list.wants(view, moved=True)
            if older and not stream.list.take_older():
                await stream.list.read_older(gateway)
            if newer and not stream.list.take_newer():
                await stream.list.read_newer(gateway)
            view.bound(stream.list.first, stream.list.end)
            seen.update(filter(None, map(stream.list.window.position, view.visible)))

    await walk(-19)
    assert stream.list.window.position(view.cursor) == 1
    for n in range(900, 1_800):
        gateway.record("order", "order-1", TYPES[n % 4], {"n": n})
        event = gateway.log[-1]
        stream.ring.push(RingFrame(event["position"], event["event_type"], event_json(event)))
        stream.absorb([(stream.ring.end - 1, stream.ring.get(stream.ring.end - 1) or RingFrame(0, "", b""))])
    assert stream.tally.waiting == 900
    await walk(19)
    assert stream.list.window.position(view.cursor) == 1_800
    assert seen == set(range(1, 1_801))


async def test_a_page_that_cannot_be_read_is_told_in_its_row_and_read_again_when_the_operator_moves() -> None:
    gateway = log_of(300)
    stream, view = stream_of(gateway, 10), Viewport(height=20)
    stream.go(50)
    view.bound(stream.list.first, stream.list.end)
    gateway.queries_down = Unreachable("desk.test does not answer")
    await stream.list.read_older(gateway)
    assert stream.list.older.error == "desk.test does not answer"
    assert stream.list.row(stream.list.first) is stream.list.older
    assert not stream.list.wants(view, moved=False)[0]
    gateway.queries_down = None
    assert stream.list.wants(view, moved=True)[0]
    await stream.list.read_older(gateway)
    assert (stream.list.older.error, stream.list.window.low) == ("", 1)


async def test_a_search_that_finds_nothing_stops_and_goes_on_when_told_to(monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.setattr("tui.viewmodels.log_reader.MOST_SEARCHED", 800)
    gateway = log_of(2_500)
    stream, view = stream_of(gateway, 10), Viewport(height=20)
    stream.choose(parse_events("there-is-no-such-text"))
    for expected in (801, 1_601, 2_401):
        await stream.list.read_older(gateway)
        assert stream.list.older.searched == min(expected, 2_490) // 400 * 400
        view.bound(stream.list.first, stream.list.end)
        assert not stream.list.wants(view, moved=False)[0]
    assert len(gateway.reads) == 6


async def test_an_event_that_has_left_the_ring_opens_from_the_log() -> None:
    gateway = log_of(100)
    stream = stream_of(gateway, 10)
    for position in (3, 100):
        event = await stream.whole(gateway, position)
        assert event is not None
        assert event.position == position
    assert len(gateway.reads) == 1


async def test_failures_beyond_those_that_are_kept_are_read_from_the_log() -> None:
    gateway = log_of(400)  # every other one a failure
    stream = StreamModel(Ring(20))
    stream.failures.window.most = 60
    for event in gateway.log:
        stream.ring.push(RingFrame(event["position"], event["event_type"], event_json(event)))
        stream.absorb([(stream.ring.end - 1, stream.ring.get(stream.ring.end - 1) or RingFrame(0, "", b""))])
    window = stream.failures.window
    assert (stream.failed, len(window), window.position(window.start)) == (200, 60, 283)
    await stream.failures.read_older(gateway)
    assert gateway.reads[-1][1]["type"] == "*failed"
    assert len(window) == 60
    assert window.position(window.start) == 3
    assert not stream.failures.live
    event = await stream.whole(gateway, 3)
    assert event is not None
    assert event.event_type == "PaymentFailed"


def test_a_stream_holds_no_more_than_it_may_whatever_comes_in() -> None:
    stream = StreamModel(Ring(100, 50_000))
    stream.show_only({"Rare"})
    choices = [EventFilter(), parse_events("type:a"), parse_events("xyz"), parse_events("by:ada")]
    for n in range(1, 20_001):
        if n % 5_000 == 0:
            stream.choose(choices.pop())
        stream.ring.push(RingFrame(n, "AFailed" if n % 3 else "Rare", b'{"x": "xyz"}' + b" " * (n % 9_000)))
        stream.absorb([(stream.ring.end - 1, stream.ring.get(stream.ring.end - 1) or RingFrame(0, "", b""))])
    for rows in (stream.list, stream.failures):
        held = rows.window._rows
        assert len(held) <= 1_000
        assert sum(len(item.data) for item in held if isinstance(item, RingFrame)) <= 1_000 * 8 * 1024
    assert stream.tally.received == 20_000
    assert stream.failed == 13_334
