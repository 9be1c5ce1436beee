"""The deck: a terminal application over the HTTP APIs, local or far away."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from rich.text import Text
from textual import events, on
from textual.app import App
from textual.binding import Binding
from textual.filter import LineFilter

from core.credentials import Show, show_nothing
from core.printable import clean
from tui.any_bytes import read_any_bytes
from tui.ascii import AsciiFilter
from tui.clipboard import Clipboard
from tui.config import WITHOUT_FILE, DeckConfig
from tui.daemons import Daemons
from tui.desk import Desk
from tui.dialogs.once_more import ask_once_more
from tui.gateway import CommandToSend, Gateway
from tui.gateway_guards import asking, read_only_daemons
from tui.http_gateway import HttpGateway
from tui.key_gate import KeyGate
from tui.leaving import Leaving, can_be_woken, terminal_is_gone, write_down
from tui.messages import Awaited, Copy, Missed
from tui.registry import VIEWS, ViewEntry
from tui.screen import DeckScreen
from tui.stopping import watch_stops
from tui.viewmodels.text import Cell

FPS = 12  # pictures a second: more are not seen; events are taken in at any rate, whatever this is
_MEASURE = 2.0  # seconds between two looks at how far the read models are behind
_START_IT = " nothing answers there: `orderdeck up` starts it here; --query-url, --command-url: elsewhere"
_TERMINAL_GONE = 129  # the exit code of a program that its terminal's end has ended


def _now() -> datetime:
    return datetime.now(UTC)


class DeckApp(App[None]):
    """With `ticking=False` nothing is painted until a test calls `deck.tick()`; tests pass a clock of their own too."""

    CSS_PATH = "app.tcss"
    TITLE = "orderdeck"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (150, "-wide")]  # noqa: RUF012 - as Textual declares it
    BINDINGS = [Binding("ctrl+z", "suspend_process", "stop", show=False, priority=True)]  # noqa: RUF012 - as above

    def __init__(
        self,
        gateway: Gateway,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _now,
        ticking: bool = True,
        debounce: float = 0.12,
        views: Sequence[ViewEntry] = VIEWS,
        daemons: Callable[[], Daemons | None] = lambda: None,
        ascii_only: bool = False,
        config: DeckConfig = WITHOUT_FILE,
    ) -> None:
        read_any_bytes()
        super().__init__()
        guarded = asking(gateway, self._ask_once_more) if config.confirm else gateway
        watched = read_only_daemons(daemons) if gateway.read_only else daemons
        self.desk = Desk(guarded, clock=clock, now=now, debounce=debounce, daemons=watched, config=config)
        self.theme = config.theme
        self.set_keymap(dict(config.keymap))
        self.ticking = ticking
        self.deck = DeckScreen(self.desk, views)
        self.gate = KeyGate(self, super().on_event, lambda sentence: self.seen.say(Cell(f" {sentence}", "warn")))
        self.leaving = Leaving(self._leave)
        self.copies = Clipboard(self._send_to_terminal)
        self._ascii = [AsciiFilter()] if ascii_only else []

    async def _ask_once_more(self, command: CommandToSend) -> bool:
        return await ask_once_more(self.deck, self.desk.config.profile, command)

    def get_default_screen(self) -> DeckScreen:
        return self.deck

    async def on_event(self, event: events.Event) -> None:
        if not self.gate.takes(event):
            await super().on_event(event)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._ascii]

    def on_mount(self) -> None:
        self.run_worker(self.gate.run, group="keys", exit_on_error=True)
        if not self.is_headless:
            watch_stops(self.leaving.woken, lambda: self.call_later(self.refresh, layout=True))
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        """Begin to read, once there is something to see."""
        if not self.is_headless:
            gc.freeze()  # what is imported stays; looking through it again and again would delay keys
            gc.enable()
        self.run_worker(self.desk.feed.run, group="feed", exit_on_error=True)
        if self.ticking:
            self.set_interval(1 / FPS, self.deck.tick)
            self.run_worker(self._measure, group="measure", exit_on_error=True)

    async def _measure(self) -> None:
        while True:
            await self.desk.measure()
            self._say_what_to_start()
            self._say_what_is_back()
            if not (self.is_headless or self.is_web) and terminal_is_gone():
                self.leaving.hurry(_TERMINAL_GONE)
            await asyncio.sleep(_MEASURE)

    def _say_what_to_start(self) -> None:
        """As long as nothing has ever answered: what the operator can do about it."""
        feed, line = self.desk.feed, self.deck.notice
        said = f" {clean(feed.reason)}" if feed.refused else _START_IT
        if (feed.state == "lost" and feed.position is None and (not line.text or line.text == said)) or feed.refused:
            self.deck.say(Cell(said, "warn"), holds=lambda: feed.position is None or feed.refused)

    def _say_what_is_back(self) -> None:
        if back := self.desk.outages.came_back():
            self.seen.say(Cell(f" ✔ {'; '.join(back)}", "good"))

    @property
    def seen(self) -> DeckScreen:
        """The deck that the operator looks at: that of an earlier moment, if it is laid over the one of now."""
        return next((each for each in reversed(self.screen_stack) if isinstance(each, DeckScreen)), self.deck)

    async def on_unmount(self) -> None:
        await self.desk.gateway.close()

    @on(Awaited)
    def _awaited(self, message: Awaited) -> None:
        self.gate.next_key_waits_for(message.worker)

    @on(Missed)
    def _missed(self, message: Missed) -> None:
        self.gate.drop_typed_ahead(clean(message.sentence))

    def action_reconnect(self) -> None:
        self.deck.action_reconnect()

    def _leave(self, code: int) -> bool:
        """End with this exit code, asked for by a signal; False when the deck does not run yet."""
        if self._loop is None or self._loop.is_closed():
            return False
        self._loop.call_soon_threadsafe(self.exit, None, code)
        return True

    def action_suspend_process(self) -> None:
        if self.is_headless or (can_be_woken() and not self.is_web):
            super().action_suspend_process()
        else:
            self.deck.say(Cell(" ctrl+z stops the deck only where a shell can let it go on (fg)", "warn"))

    def _fatal_error(self) -> None:
        """Instead of a page of Textual's: one sentence, and a file with the rest, which holds no data of orders."""
        error = self._exception or sys.exc_info()[1]
        if self.is_headless or error is None:
            super()._fatal_error()
            return
        self.leaving.hurry(1)
        error = getattr(error, "error", error)  # a worker's fault is wrapped
        self._exit_renderables = [Text(f"orderdeck: {clean(write_down(error))}", overflow="fold")]
        self._close_messages_no_wait()

    @on(Copy)
    def _copy(self, message: Copy) -> None:
        self.run_worker(self._hand_over(message), group="copy", exit_on_error=True)

    async def _hand_over(self, message: Copy) -> None:
        if self.is_web:
            self.seen.say(Cell(f" {clean(message.text)}", "accent"), Cell("  shift and the mouse select it", "dim"))
            return
        handed = await self.copies.take(message.text)
        self.seen.say(Cell(f" {clean(message.name)} {handed.sentence}", "good" if handed.kept else "bad"))

    def _send_to_terminal(self, sequence: str) -> None:
        if self._driver is not None:
            self._driver.write(sequence)


def run(
    command_url: str,
    query_url: str,
    *,
    ascii_only: bool = False,
    daemons: Callable[[], Daemons | None] = lambda: None,
    config: DeckConfig = WITHOUT_FILE,
    show: Show = show_nothing,
) -> int:
    """Open the deck until the operator leaves it; return its exit code. `show` has the key for the services."""
    gateway = HttpGateway(command_url, query_url, read_only=config.read_only, show=show)
    app = DeckApp(gateway, ascii_only=ascii_only, daemons=daemons, config=config)
    with app.leaving.watched():
        app.run()
    return app.return_code or 0
