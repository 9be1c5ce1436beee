"""The stream's model beside a plain list of everything that came in: it invents no row, and its counts add up."""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.fake_gateway import FakeGateway, event_json
from tui.viewmodels.event_filter import parse_events
from tui.viewmodels.event_row import EventRow
from tui.viewmodels.event_window import Gap
from tui.viewmodels.ring import Ring, RingFrame
from tui.viewmodels.stream import StreamModel
from tui.viewmodels.viewport import Viewport

TYPES = ("OrderCreated", "OrderShipped", "PaymentFailed", "SagaStepFailed")
HEIGHT = 4


class StreamMachine(RuleBasedStateMachine):
    """A log, of which the feed leaves out some; a ring of a dozen events; and an operator."""

    def __init__(self) -> None:
        super().__init__()
        self.gateway = FakeGateway()
        self.stream = StreamModel(Ring(12, 100_000))
        self.stream.list.window.most = 20
        self.stream.failures.window.most = 6
        self.view = Viewport(height=HEIGHT)
        self.came: list[int] = []
        self.painted: set[int] = set()
        self.text = ""

    @rule(types=st.lists(st.sampled_from(TYPES), min_size=1, max_size=9), lost=st.integers(0, 1))
    def arrive(self, types: list[str], lost: int) -> None:
        for n, name in enumerate(types):
            self.gateway.record("order", f"order-{n % 3}", name, {"n": n})
            event = self.gateway.log[-1]
            if n or not lost or not self.came:
                self.came.append(event["position"])
                self.stream.ring.push(RingFrame(event["position"], name, event_json(event)))
        seen = self.stream.ring.number_at(self.stream.tally.newest + 1)
        self.stream.absorb([*self.stream.ring.since(seen)])

    @rule()
    def pause(self) -> None:
        self.stream.pause()

    @rule()
    def follow(self) -> None:
        self.stream.follow()

    @rule(text=st.sampled_from(["", "type:payment", "type:*failed -type:saga", "stream:order-1"]))
    def filter(self, text: str) -> None:
        self.text = text
        choice = parse_events(text)
        self.stream.choose(choice, self.stream.list.window.position(self.view.cursor))

    @rule(hidden=st.sets(st.sampled_from(TYPES)))
    def hide(self, hidden: set[str]) -> None:
        self.stream.show_only(hidden)

    @precondition(lambda self: self.gateway.log)
    @rule(place=st.floats(0, 1))
    def go(self, place: float) -> None:
        self.stream.go(1 + int(place * (len(self.gateway.log) - 1)))

    @rule(rows=st.integers(-9, 9))
    def scroll(self, rows: int) -> None:
        self.view.move(rows)
        if self.view.cursor < self.view.end - 1:
            self.stream.pause()
        asyncio.run(self.read(moved=True))

    @rule()
    def paint(self) -> None:
        asyncio.run(self.read(moved=False))
        if self.stream.following:
            self.view.tail()
        self.stream.note_painted(self.view.visible)
        rows = map(self.stream.list.window.position, self.view.visible)
        self.painted |= {position for position in rows if position is not None}

    async def read(self, *, moved: bool) -> None:
        rows = self.stream.list
        self.view.bound(rows.first, rows.end)
        older, newer = rows.wants(self.view, moved=moved)
        if older and not rows.take_older():
            await rows.read_older(self.gateway)
        if newer and not rows.take_newer():
            await rows.read_newer(self.gateway)
        self.view.bound(rows.first, rows.end)

    @invariant()
    def the_rows_are_the_events_of_their_part_of_the_log_that_fit(self) -> None:
        rows, window = self.stream.list, self.stream.list.window
        held = [window.get(rank) for rank in range(window.start, window.end)]
        positions = [row.position for row in held if isinstance(row, EventRow)]
        gaps = [row for row in held if isinstance(row, Gap)]
        missing = {p for gap in gaps for p in range(gap.after + 1, gap.before)}
        part = [e for e in self.gateway.log if window.low <= e["position"] <= window.high]
        fits = [e["position"] for e in part if self.fits(e)]
        assert positions == [p for p in fits if p not in missing]
        assert not missing & set(self.came)
        assert len(window) <= window.most
        assert not rows.live or window.high == rows.newest

    def fits(self, event: dict[str, str]) -> bool:
        wanted = {
            "": True,
            "type:payment": event["event_type"] == "PaymentFailed",
            "type:*failed -type:saga": event["event_type"] == "PaymentFailed",
            "stream:order-1": event["aggregate_id"] == "order-1",
        }
        return wanted[self.text] and event["event_type"] not in self.stream.hidden

    @invariant()
    def what_came_in_was_shown_or_skipped_or_waits(self) -> None:
        tally = self.stream.tally
        assert tally.received == len(self.came) == tally.shown + tally.skipped + tally.waiting
        assert min(tally.shown, tally.skipped, tally.waiting) >= 0
        assert tally.shown == len(self.painted & set(self.came))
        assert not self.stream.following or tally.waiting == 0

    @invariant()
    def no_failure_is_lost(self) -> None:
        failing = [p for p in self.came if self.gateway.log[p - 1]["event_type"].endswith("Failed")]
        window = self.stream.failures.window
        assert self.stream.failed == len(failing)
        assert [window.position(rank) for rank in range(window.start, window.end)] == failing[-window.most :]


TestStream = StreamMachine.TestCase
TestStream.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
