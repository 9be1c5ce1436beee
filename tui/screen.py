"""DeckScreen: the one screen: the lines around the view, the view that is shown, and the dialogs that views ask for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingsMap
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static

from core.printable import clean
from tui.action_table import PAST, Action, ActionTable, bar
from tui.commands import DeckCommands
from tui.deck_moments import DeckMoments
from tui.desk import Desk
from tui.dialogs.dialog import open_dialog
from tui.dialogs.event import EventDialog
from tui.dialogs.help import HelpDialog, help_tables
from tui.dialogs.new_order import NewOrderDialog
from tui.dialogs.transitions import ask_transition
from tui.messages import Act, Missed, NewOrder, OpenEvent, OpenNow, OpenView, Say, Send
from tui.registry import ViewEntry, everywhere, view_at, view_names, with_past
from tui.sending import DeckSending
from tui.trail import Stop, Trail
from tui.view import DeckView
from tui.viewmodels.correlation import Place, of_event
from tui.viewmodels.past_steps import By
from tui.viewmodels.text import Cell
from tui.widgets.frame import key_cells, top_cells
from tui.widgets.key_line import KeyLine
from tui.widgets.painted import TONE_CLASSES, Line

SMALLEST = (80, 24)
_NOTICE_FOR = 20.0  # seconds a sentence stays
_READ_AGAIN = 5.0  # seconds between two tries to read what could not be read, while the feed is open
_REPAINT = 1.0  # seconds after which ages and counters are painted again although nothing arrived


class DeckScreen(Screen[str]):
    """The first entry is the view that the deck opens with.

    One of an earlier moment lies over the one of now; its answer is the view that is to be shown there, if any.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = TONE_CLASSES

    def __init__(self, desk: Desk, entries: Sequence[ViewEntry]) -> None:
        super().__init__()
        self.desk = desk
        self.entries = entries
        self.views = {entry.name: entry.make(desk) for entry in entries}
        desk.views = frozenset(self.views)
        self.everywhere = desk.keymap.applied(everywhere(entries))
        self.around = [self.everywhere, *([desk.keymap.applied(PAST)] if desk.past is not None else [])]
        keys = [BindingsMap(table.bindings()) for table in self.around]
        self._bindings = BindingsMap.merge([self._bindings, *keys])
        self.top = Line(id="top")
        self.notice = Line(id="notice")
        self.keys = KeyLine(id="keys")
        self.small = Static("", markup=False, id="too-small")
        self.commands = DeckCommands(self, self)
        self.sending = DeckSending(self, self)
        self.moments = DeckMoments(self, self, lambda desk: DeckScreen(desk, with_past(self.entries)))
        self.trail = Trail(Stop(entries[0].name))
        self._painted_at = 0.0
        self._failed_at: float | None = None  # when the view that is shown could not be read, or was tried again
        self._notice_at = 0.0
        self._notice_holds: Callable[[], bool] | None = None

    def compose(self) -> ComposeResult:
        yield self.top
        with ContentSwitcher(initial=self.current):
            for name, view in self.views.items():
                widget = widget_of(view)
                widget.id = name
                yield widget
        yield self.notice
        yield self.keys
        yield self.small

    @property
    def current(self) -> str:
        """The name of the view that is shown."""
        return self.trail.here.view

    @property
    def entry(self) -> ViewEntry:
        return next(entry for entry in self.entries if entry.name == self.current)

    @property
    def view(self) -> DeckView:
        return self.views[self.current]

    @property
    def tables(self) -> list[ActionTable]:
        """Every action of the deck, those of the view on the screen first."""
        others = [table for view in self.views.values() for table in view.tables]
        return help_tables(self.view.tables, self.everywhere, [PAST, *others], self.desk.keymap)

    @property
    def in_force(self) -> list[ActionTable]:
        """The tables of the view that is shown, and those that are in force around it."""
        return [*map(self.desk.keymap.applied, self.view.tables), *self.around]

    @property
    def names(self) -> dict[str, str]:
        """The title of each view by its name."""
        return {entry.name: entry.title for entry in self.entries}

    def refusal(self, action: Action) -> str | None:
        return self.view.refusal(action)

    def on_mount(self) -> None:
        self.call_after_refresh(self.view.enter, None)  # it reads, which can wait until the first picture stands
        self.set_focus(self.view.focus_target)
        self.tick()
        if self.desk.past:
            self.set_interval(0.1, self.tick)  # the app ticks the deck of now
            self.moments.settle()

    def on_resize(self) -> None:
        width, height = self.size
        small = width < SMALLEST[0] or height < SMALLEST[1]
        self.small.update(f"This terminal is {width}×{height}.\nThe deck needs {SMALLEST[0]}×{SMALLEST[1]}.")
        self.small.display = small

    def set_focus(self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False) -> None:  # noqa: FBT001, FBT002 - Textual's signature
        """The focus is always somewhere: without it no key would do anything."""
        super().set_focus(self.view.focus_target if widget is None else widget, scroll_visible, from_app_focus)

    def tick(self) -> None:
        """Hand what arrived to every view and paint the one that is shown; called some ten times a second."""
        now, began = self.desk.clock(), time.perf_counter()
        fresh = self.desk.tick()
        if fresh:
            for view in self.views.values():
                view.absorb(fresh)
        if self.desk.jumped():
            self.view.refresh_now()
        if self.desk.came_back():
            self._read_what_failed()
        if self.view.needs_reading and self.desk.feed.state == "live":
            self._read_again(now)
        else:
            self._failed_at = None
        if fresh or now - self._painted_at >= _REPAINT or self.view.needs_paint:
            self._painted_at = now
            self.view.paint()
        untrue = self._notice_holds is not None and not self._notice_holds()
        if untrue or now - self._notice_at >= _NOTICE_FOR:
            self.say()
        self.paint_frame()
        self.desk.frames.append(time.perf_counter() - began)

    def _read_what_failed(self) -> None:
        """The feed is back: read again what could not be read."""
        for view in self.views.values():
            if view.needs_reading:
                view.refresh_now()

    def _read_again(self, now: float) -> None:
        """The feed is open, but a service cannot read, as while its database is away."""
        if self._failed_at is None:
            self._failed_at = now
        elif now - self._failed_at >= _READ_AGAIN:
            self._failed_at = now
            self.view.refresh_now()

    def paint_frame(self) -> None:
        where = Cell(f"{clean(self.desk.gateway.where)} ", "dim")
        self.top.show(top_cells(self.desk, self.entry.title), [where])
        actions = bar(*self.in_force)
        self.keys.offer(actions, key_cells(actions, self.refusal), [Cell("".join(view_names(self.entries)), "dim")])

    def show(self, name: str, subject: str | None = None) -> None:
        """Put a view on the screen, for the thing with the id `subject` if one is given."""
        self.trail.go(Stop(name, subject))
        self._enter()

    def _enter(self) -> None:
        """Show the place where the trail stands now."""
        self.query_one(ContentSwitcher).current = self.current
        self.view.enter(self.trail.here.subject)
        self.moments.entered()
        self.set_focus(self.view.focus_target)
        self.paint_frame()

    def say(self, *cells: Cell, holds: Callable[[], bool] | None = None) -> None:
        """Show one line for the operator; it goes after a while, or when it `holds` no longer."""
        self._notice_at, self._notice_holds = self.desk.clock(), holds
        self.notice.show(cells)

    def action_view(self, name: str) -> None:
        self.show(name)

    def action_last_view(self) -> None:
        self.show(*self.trail.before)

    def action_walk(self, steps: int) -> None:
        if self.trail.walk(steps) is None:
            self.say(Cell(f" you were nowhere {'before' if steps < 0 else 'after'} this", "dim"))
        else:
            self._enter()

    def action_back(self) -> None:
        """Undo the innermost thing of the view; from one without a key, go back to where it was opened."""
        if self.view.back():
            return
        opened_by_key = self.entry.key and self.trail.here.subject is None
        if opened_by_key or self.trail.walk(-1) is None:
            if self.desk.past:
                self.dismiss()
                return
            self.say(Cell(" ctrl+q quits the deck", "dim"))
        else:
            self._enter()

    def action_reconnect(self) -> None:
        self.desk.feed.retry_now()
        self.view.refresh_now()

    def action_past(self) -> None:
        self.moments.ask()

    def action_compare(self) -> None:
        self.moments.ask_two()

    def action_step_back(self, by: By) -> None:
        self.moments.step(by, -1)

    def action_step_on(self, by: By) -> None:
        self.moments.step(by, 1)

    def action_help(self) -> None:
        open_dialog(self, HelpDialog(self.tables), lambda _: None)

    def action_command(self) -> None:
        self.commands.open_line()

    def action_every_action(self) -> None:
        self.commands.open_list()

    @on(Line.Picked, "#keys")
    def _picked(self, message: Line.Picked) -> None:
        """A click on a view's name at the right of the bottom line opens it, as its key does."""
        self.show(view_at(self.entries, message.column).name)

    @on(Say)
    def _say(self, message: Say) -> None:
        holds = (lambda: bool(self.desk.commands_away)) if self.desk.commands_away else None
        self.say(Cell(f" {clean(message.sentence)}", message.tone), holds=holds or message.holds)

    @on(OpenView)
    def _open_view(self, message: OpenView) -> None:
        if message.name in self.views:
            self.show(message.name, message.subject)
        else:
            self.say(Cell(f" this deck has no view of {clean(message.name)}", "warn"))
            self.post_message(Missed(f"this deck has no view of {message.name}"))

    @on(OpenNow)
    def _open_now(self, message: OpenNow) -> None:
        self.dismiss(message.name)

    @on(OpenEvent)
    def _open_event(self, message: OpenEvent) -> None:
        places = of_event(message.event, self.desk.views)
        open_dialog(self, EventDialog(message.event, places), self._go)

    def _go(self, place: Place | None) -> None:
        if place is not None:
            self.show(place.view, place.subject)

    @on(NewOrder)
    def _new_order(self) -> None:
        open_dialog(self, NewOrderDialog(self.desk), self.sending.placed)

    @on(Act)
    def _act(self, message: Act) -> None:
        ask_transition(self, self.desk, message.order, message.transition)

    @on(Send)
    def _send(self, message: Send) -> None:
        if reason := self.desk.why_no_writes(message.command.subject_id):
            self._say(Say(reason, "warn"))
        else:
            self.sending.send(message)


def widget_of(view: DeckView) -> Widget:
    """A protocol cannot say that a view is also a Textual widget, so it is checked when the deck opens."""
    if not isinstance(view, Widget):
        raise TypeError(f"a view must be a Textual widget, which {view!r} is not")
    return view
