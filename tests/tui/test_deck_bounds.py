"""Nothing that lives as long as the deck grows without end: each container behind the desk and its views is counted."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Coroutine
from typing import Any, cast

import pytest
from textual.widget import Widget

from core.filters.order_language import parse
from tests.support.deck_harness import desk_with
from tests.support.fake_desk import START
from tests.support.fake_gateway import FakeGateway
from tests.support.listed import Stepped
from tui.desk import Desk
from tui.pane import Pane
from tui.registry import VIEWS
from tui.viewmodels import known_numbers, tally, timeline
from tui.viewmodels.event_filter import parse_events
from tui.viewmodels.event_row import EventRow
from tui.viewmodels.saga_detail import SagaModel
from tui.views.daemons import DaemonsView
from tui.views.detail import DetailView
from tui.views.pulse import PulseView
from tui.views.saga import SagaView
from tui.views.sagas import SagasView
from tui.views.stream import StreamView

FIRST, SECOND, TICK = 48_000, 18_000, 1_000  # events before and after the first count, and of one tick
KNOWN = ("OrderCreated", "OrderConfirmed", "OrderShipped", "SagaStarted", "PaymentAuthorized", "PaymentFailed")
FOLLOWED = "00000000-0000-7000-8000-00000000f00d"


def event(position: int) -> bytes:
    """Every event is of an order of its own; every tenth has a type of its own, some are huge and some unreadable."""
    order = FOLLOWED if position % 50 == 0 else f"00000000-0000-7000-8000-{position:012x}"
    name = KNOWN[position % 6] if position % 10 else f"Type{position}"
    more = "x" * (20_000 if position % 1_000 == 0 else 10)
    category = "saga" if name == "SagaStarted" else "payment" if name.startswith("Payment") else "order"
    head = f"id: {position}\nevent: {name}\ndata: "
    if position % 997 == 0:
        return f"{head}{{".encode()
    return (
        f'{head}{{"event_id":"{order}","event_type":"{name}","aggregate_id":"{order}","aggregate_type":"{category}",'
        f'"payload":{{"order_number":"ORD-{position}","tracking_number":"{more}","amount":"1.00"}},'
        f'"metadata":{{"correlation_id":"{order}"}},"timestamp":"2026-03-14T09:26:53+00:00","version":{position},'
        f'"position":{position}}}'
    ).encode()


class Flooded:
    """A deck without Textual: its desk and its views, whose workers run as tasks and which are not painted."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.gateway, self.clock = gateway, Stepped()
        self.desk = Desk(gateway, clock=self.clock, now=lambda: START, debounce=0)
        self.views = {entry.name: entry.make(self.desk) for entry in VIEWS}
        for view in self.views.values():
            for name, instead in (("paint", _nothing), ("run_worker", _as_a_task), ("post_message", _nothing)):
                setattr(view, name, instead)
        self.position = 0

    async def pour(self, events: int) -> None:
        """With a gap before each tick; the operator pauses and follows the stream."""
        stream = self.views["stream"]
        assert isinstance(stream, StreamView)
        for n in range(events // TICK):
            self.position += 2
            for _ in range(TICK):
                self.position += 1
                self.desk.feed.take(event(self.position))
            fresh = self.desk.tick()
            for view in self.views.values():
                view.absorb(fresh)
            self.clock.now += 0.1
            stream.model.note_painted(range(stream.model.list.first, stream.model.list.end, 25))
            stream.model.pause() if n % 3 == 2 else stream.model.follow()
            for row in map(stream.model.list.row, range(stream.model.list.first, stream.model.list.end, 25)):
                if isinstance(row, EventRow) and row.at is None:
                    stream.model.note_unreadable(row)
            if n % 3 == 0:
                await self.ask(n)

    async def ask(self, n: int) -> None:
        """The service names other daemons, figures and currencies each time."""
        names = [f"daemon-{self.position}-{each}" for each in range(40)]
        lag = {"events": 1, "seconds": 1.0}
        self.gateway.answers["/api/v1/daemons"] = {
            "daemons": [{"name": name, "pid": n + 1, "ready": True, "answers": True, "lag": lag} for name in names]
        }
        series = [{"name": name, "values": [1.0, 2.0]} for name in names]
        history = {"started_at": "2026-03-14T09:26:53Z", "until": n + 1, "series": series}
        self.gateway.answers |= {"/api/v1/metrics/history": history, "commands /api/v1/metrics/history": history}
        daemons, pulse = self.views["daemons"], self.views["pulse"]
        assert isinstance(daemons, DaemonsView)
        assert isinstance(pulse, PulseView)
        await asyncio.gather(self.desk.measure(), daemons.model.ask_daemons(), pulse.model.look("queries"))
        await pulse.model.look("commands")
        for each in range(10):
            self.desk.unsent("cancel", f"{self.position} {each}")["reason"] = "because"


def _nothing(*_: object, **__: object) -> None:
    pass


def _as_a_task(work: Any, **_: object) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(cast("Coroutine[Any, Any, Any]", work() if callable(work) else work))


def held(deck: Flooded) -> Counter[str]:
    """How many things each container holds, by the way that leads to it from the desk or a view."""
    found, seen = Counter[str](), set[int]()
    usual = vars(Pane(deck.desk)).keys() - {"desk"}
    waiting: list[tuple[str, object]] = [("desk", deck.desk), *deck.views.items()]
    while waiting:
        way, thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, FakeGateway):
            continue
        seen.add(id(thing))
        if isinstance(thing, list | tuple | set | frozenset | deque | dict):
            found[way] += len(thing)
            inside = thing.values() if isinstance(thing, dict) else thing
            waiting += ((f"{way}[]", each) for each in inside if not hasattr(each, "_fields"))  # a NamedTuple is data
        elif type(thing).__module__.startswith("tui."):
            own = getattr(thing, "__dict__", {})
            names = own.keys() - usual if isinstance(thing, Widget) else own.keys()
            waiting += ((f"{way}.{name}", own[name]) for name in names)
    return found


async def test_nothing_grows_while_a_hundred_thousand_events_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    lower = ((timeline, "MOST_EVENTS", 400), (tally, "MOST_STRETCHES", 20), (known_numbers, "MOST", 1_000))
    for module, name, bound in lower:  # so that the first events reach each bound
        monkeypatch.setattr(module, name, bound)
    deck = Flooded(desk_with(300))
    stream, sagas, detail, saga = (deck.views[name] for name in ("stream", "sagas", "detail", "saga"))
    assert isinstance(stream, StreamView)
    assert isinstance(sagas, SagasView)
    assert isinstance(detail, DetailView)
    assert isinstance(saga, SagaView)
    detail.enter(FOLLOWED)
    saga.model = SagaModel(deck.gateway, FOLLOWED, deck.clock)
    sagas.enter(None)
    for orders, events in (("", ""), ("status:confirmed", "-type:PaymentFailed tracking")):
        await deck.desk.orders.search(parse(orders, START))
        stream.model.choose(parse_events(events))
        await deck.pour(SECOND if events else FIRST)
        before = held(deck)
        await deck.pour(SECOND)
        after = held(deck)
        assert sum(after.values()) > deck.desk.ring.capacity, "the containers were found"
        grown = {way: f"{before[way]:,} -> {many:,}" for way, many in after.items() if many > before[way] * 1.02 + 5}
        assert grown == {}
