"""The deck: a terminal application over the HTTP APIs, local or far away."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from textual import events, on
from textual.app import App

from tui.desk import Desk
from tui.gateway import Gateway
from tui.http_gateway import HttpGateway
from tui.key_gate import KeyGate
from tui.messages import Awaited, Copy
from tui.registry import VIEWS, ViewEntry
from tui.screen import DeckScreen
from tui.viewmodels.text import Cell

FPS = 12  # pictures a second: more are not seen; events are taken in at any rate, whatever this is
_MEASURE = 2.0  # seconds between two looks at how far the read models are behind
_CLIPBOARD = 74_000  # bytes: terminals drop a longer text that is copied at once


def _now() -> datetime:
    return datetime.now(UTC)


class DeckApp(App[None]):
    """With `ticking=False` nothing is painted until a test calls `deck.tick()`; tests pass a clock of their own too."""

    CSS_PATH = "app.tcss"
    TITLE = "orderdeck"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (150, "-wide")]  # noqa: RUF012 - as Textual declares it

    def __init__(
        self,
        gateway: Gateway,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _now,
        ticking: bool = True,
        debounce: float = 0.12,
        views: Sequence[ViewEntry] = VIEWS,
    ) -> None:
        super().__init__()
        self.desk = Desk(gateway, clock=clock, now=now, debounce=debounce)
        self.ticking = ticking
        self.deck = DeckScreen(self.desk, views)
        self.gate = KeyGate(self, super().on_event, lambda sentence: self.deck.say(Cell(f" {sentence}", "warn")))

    def get_default_screen(self) -> DeckScreen:
        return self.deck

    async def on_event(self, event: events.Event) -> None:
        if not self.gate.takes(event):
            await super().on_event(event)

    def on_mount(self) -> None:
        self.run_worker(self.gate.run, group="keys", exit_on_error=True)
        self.run_worker(self.desk.feed.run, group="feed", exit_on_error=True)
        if self.ticking:
            self.set_interval(1 / FPS, self.deck.tick)
            self.run_worker(self._measure, group="measure", exit_on_error=True)

    async def _measure(self) -> None:
        while True:
            await self.desk.measure()
            await asyncio.sleep(_MEASURE)

    async def on_unmount(self) -> None:
        await self.desk.gateway.close()

    @on(Awaited)
    def _awaited(self, message: Awaited) -> None:
        self.gate.next_key_waits_for(message.worker)

    def action_reconnect(self) -> None:
        self.deck.action_reconnect()

    @on(Copy)
    def _copy(self, message: Copy) -> None:
        text = message.text.encode()[:_CLIPBOARD].decode(errors="ignore")
        self.copy_to_clipboard(text)
        if os.environ.get("TMUX") and self._driver is not None:  # tmux passes a text on only in this form
            coded = base64.b64encode(text.encode()).decode()
            self._driver.write(f"\x1bPtmux;\x1b\x1b]52;c;{coded}\a\x1b\\")
        cut = " (its beginning)" if len(text) < len(message.text) else ""
        self.deck.say(Cell(f" copied {message.name}{cut}", "good"))


def run(command_url: str, query_url: str) -> None:
    """Open the deck until the operator leaves it."""
    DeckApp(HttpGateway(command_url, query_url)).run()
