"""The history of one order with very many events."""

from __future__ import annotations

import asyncio
import time

import msgspec

from tests.support.fake_gateway import FakeGateway
from tui.viewmodels.detail import DetailModel
from tui.viewmodels.fold import MOST_LABELS, TimelineState, evolve
from tui.viewmodels.timeline import MOST_EVENTS, MOST_KEPT, Timeline
from tui.viewmodels.track import track
from tui.wire import WireEvent


def refunds(events: int) -> list[WireEvent]:
    """An order whose amount is refunded cent by cent, each refund with a saga of its own."""
    gateway = FakeGateway()
    order_id = gateway.place(1, price="9999999.99")
    gateway.fulfil(order_id)
    gateway.ship(order_id)
    gateway.refund(order_id, "0.01")
    log = [gateway._wire_event(event) for event in gateway.log]
    refund, saga = log[-1], log[1]
    while len(log) < events:
        n = len(log)
        payload = {**msgspec.json.decode(refund.payload), "refund_id": f"re-{n}"}
        change = {"position": n + 1, "version": n, "payload": msgspec.Raw(msgspec.json.encode(payload))}
        log.append(msgspec.structs.replace(refund, **change))
        log.append(msgspec.structs.replace(saga, position=n + 2, aggregate_id=f"saga-{n}", event_id=f"e-{n}"))
    return log[:events]


def test_the_state_of_any_event_of_a_long_history_is_found_from_a_few_kept_ones() -> None:
    events = refunds(MOST_KEPT * 50 + 300)
    states = [TimelineState()]
    for event in events:
        states.append(evolve(states[-1], event))
    timeline = Timeline()
    timeline.take(events[3_000:])
    timeline.take(events[:3_000])
    assert len(timeline._kept) <= MOST_KEPT
    for count in (0, 1, len(events), 3_001, 3_000, 2_999, 6_401, 0, 99, 100, 101, len(events) - 1):
        assert timeline.state(count) == states[count], count
    assert len(states[-1].lines) == MOST_LABELS


def test_a_history_that_is_too_long_says_so_and_the_order_cannot_be_steered_from_it() -> None:
    gateway = FakeGateway()
    order_id = gateway.place(1)
    log = refunds(MOST_EVENTS)

    async def timeline(_: str) -> list[WireEvent]:
        return log

    gateway.timeline = timeline
    model = DetailModel(gateway, order_id)
    asyncio.run(model.load())
    assert model.past
    assert "only its first 20,000 events" in str(model.why_no_command("cancel"))
    assert not model.take([msgspec.structs.replace(log[-1], position=MOST_EVENTS + 1)])
    assert len(model.timeline.events) == MOST_EVENTS
    started = time.process_time()
    for _ in range(10):
        model.timeline.choose(model.timeline.row - 700)
        model.timeline.state_at()
        track(model.timeline, 150)
    assert (
        time.process_time() - started
    ) / 10 < 0.1  # a tenth of this on a free machine; it was 2 s when all was drawn
