"""A deck to test: the fake gateway, a clock that stands still, ticks by hand, and the screen as text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from tests.support.fake_gateway import FakeGateway
from tui.action_table import ActionTable
from tui.app import DeckApp
from tui.config import WITHOUT_FILE, DeckConfig
from tui.daemons import Daemons
from tui.desk import Desk
from tui.registry import VIEWS, ViewEntry

WITHIN = 30.0  # seconds of real time a condition may take


@dataclass
class Clock:
    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Deck:
    app: DeckApp
    pilot: Pilot[Any]
    gateway: FakeGateway
    clock: Clock

    @property
    def desk(self) -> Desk:
        return self.app.desk

    def view(self, name: str) -> Any:
        """The view of that name in the registry."""
        return self.app.deck.views[name]

    async def press(self, *keys: str) -> None:
        """Keys one after the other, what each sets off done before the next."""
        for key in keys:
            self.post(key)
            await self._taken()
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """A text as fast as it can be pasted, where the focus is."""
        for character in text:
            self.post(character)
        await self.handled()

    async def handled(self) -> None:
        """Every key that was posted has had its effect, and so has what it set off."""
        await self._taken()
        await self.pilot.pause()

    async def _taken(self) -> None:
        reached_the_app = asyncio.Event()
        self.app.call_later(reached_the_app.set)
        await reached_the_app.wait()
        await self.app.gate.idle()

    def post(self, key: str) -> None:
        """A key as the terminal sends it, without waiting."""
        character = key if len(key) == 1 else None
        self.app.post_message(events.Key(_character_to_key(key) if character else key, character))

    async def until(self, condition: Callable[[], Any]) -> None:
        """Tick and let the app work until the condition holds."""
        deadline = time.monotonic() + WITHIN
        while not condition():
            assert time.monotonic() < deadline, "\n".join(["it never came true; the screen:", *self.lines()])
            self.app.deck.tick()
            await self.pilot.pause()
            await asyncio.sleep(0)
        await self.pilot.pause()

    async def caught_up(self) -> None:
        """Every event of the log is in the ring, and painted."""
        await self.until(lambda: self.desk.feed.position == len(self.gateway.log))
        self.app.deck.tick()
        await self.pilot.pause()

    async def shows(self, text: str) -> None:
        await self.until(lambda: text in self.text())

    def lines(self) -> list[str]:
        """What stands on the screen, line by line."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    def text(self) -> str:
        return "\n".join(self.lines())


@asynccontextmanager
async def opened(
    gateway: FakeGateway,
    size: tuple[int, int] = (120, 36),
    views: Sequence[ViewEntry] = VIEWS,
    daemons: Daemons | None = None,
    config: DeckConfig = WITHOUT_FILE,
) -> AsyncIterator[Deck]:
    """A running deck whose list is read and whose feed is live, unless the gateway does not let it be."""
    clock = Clock()
    app = DeckApp(
        gateway,
        clock=clock,
        now=lambda: gateway.time,
        ticking=False,
        debounce=0,
        views=views,
        daemons=lambda: daemons,
        config=config,
    )
    async with app.run_test(size=size, notifications=True) as pilot:
        deck = Deck(app, pilot, gateway, clock)
        await deck.until(lambda: "orders" not in app.deck.views or app.desk.orders.phase != "loading")
        if gateway.queries_down is None and not gateway.feed_down:
            await app.desk.measure()
            await deck.caught_up()
        yield deck


def every_table() -> list[ActionTable]:
    """The keys of every view and dialog, as the help sheet of a deck with all views has them."""
    return DeckApp(FakeGateway(), ticking=False).deck.tables


def desk_with(orders: int) -> FakeGateway:
    """Orders of every kind, a minute apart: placed, confirmed, declined."""
    gateway = FakeGateway()
    for n in range(orders):
        order_id = gateway.place(n, quantity=n % 3 + 1)
        if n % 3:
            gateway.fulfil(order_id, declined=n % 3 == 2)
        gateway.passes(60)
    return gateway
