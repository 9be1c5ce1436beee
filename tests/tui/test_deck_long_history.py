"""The history of one order with very many events."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.support.fake_gateway import FakeGateway
from tui.viewmodels.detail import DetailModel
from tui.viewmodels.fold import MOST_LABELS, TimelineState, evolve
from tui.viewmodels.timeline import Timeline
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


def test_any_state_of_a_long_history_is_found_from_a_few_kept_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.viewmodels.timeline.MOST_KEPT", 8)
    events = refunds(8 * 50 + 400)
    states = [TimelineState()]
    for event in events:
        states.append(evolve(states[-1], event))
    timeline = Timeline()
    timeline.take(events[300:])
    timeline.take(events[:300])
    assert len(timeline._kept) <= 8
    for count in (0, 1, len(events), 301, 300, 299, 401, 0, 99, 100, 101, len(events) - 1):
        assert timeline.state(count) == states[count], count
    assert len(states[-1].lines) == MOST_LABELS


def test_a_history_that_is_too_long_says_so_and_takes_no_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("timeline", "detail"):
        monkeypatch.setattr(f"tui.viewmodels.{module}.MOST_EVENTS", 100)
    gateway = FakeGateway()
    order_id = gateway.place(1)
    log = refunds(100)

    async def timeline(_: str) -> list[WireEvent]:
        return log

    monkeypatch.setattr(gateway, "timeline", timeline)
    model = DetailModel(gateway, order_id)
    asyncio.run(model.load())
    assert model.past
    assert "only its first 100 events" in str(model.why_no_command("cancel"))
    assert not model.take([msgspec.structs.replace(log[-1], position=101)])
    assert len(model.timeline.events) == 100
