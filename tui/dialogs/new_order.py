"""New order: the form, the server's errors under its fields, and beside it the events that placing it would record."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Label

from core.printable import clean
from core.terminal_text import fit, money
from tui.action_table import Action, ActionTable, bar
from tui.desk import Desk
from tui.dialogs.dialog import ASK_AGAIN, NO_ANSWER, Dialog, key_line
from tui.gateway import CommandToSend, GatewayError, ServiceRefused, TimedOut
from tui.messages import Awaited
from tui.receipts import Receipt, perform
from tui.viewmodels.draft import ADDRESS_FIELDS, DEFAULTS, EXAMPLE, LINE_FIELDS, OrderDraft
from tui.viewmodels.fold import TimelineState, changes, evolve
from tui.viewmodels.not_let_in import is_of_the_key
from tui.viewmodels.text import Cell
from tui.widgets.painted import TextPane
from tui.wire import WireEvent

KEYS = ActionTable(
    "form",
    "New order",
    (
        Action("ctrl+s", "place", "place", "ctrl+s", bar=True),
        Action("ctrl+l", "add_line", "line", "ctrl+l", bar=True),
        Action("ctrl+g", "example", "example", "ctrl+g", bar=True),
        Action("ctrl+n", "swap", "other draft", "ctrl+n", bar=True),
    ),
)
_LONGEST = 500  # characters of a field; the service takes at most 200 and says so
_NOT_YET_KNOWN = "number"  # the order gets its number when it is placed, so a dry run cannot know it
_TOP = (
    ("customer_id", "Customer"),
    ("payment_method", "Pays by"),
    ("payment_method.label", "  labelled"),
    ("currency", "Currency"),
)


class FormField(Vertical):
    """A label, an input, and below it what is wrong with it, if anything."""

    def __init__(self, name: str, label: str, value: str) -> None:
        super().__init__(classes="form-field")
        self.field_name = name
        self.label = label
        hint = EXAMPLE.get(re.sub(r"\d+", "0", name), "")
        self.input = Input(value, hint, compact=True, select_on_focus=False, max_length=_LONGEST)
        self.error = Label("", markup=False, classes="field-error")

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label(self.label, markup=False, classes="field-label")
            yield self.input
        yield self.error

    def say(self, error: str) -> None:
        self.error.update(clean(error))
        self.error.display = bool(error)


class NewOrderDialog(Dialog[Receipt]):
    """Its answer is the receipt of the order that it placed. The Desk keeps two drafts, so no key loses one."""

    BINDINGS: ClassVar[list[BindingType]] = KEYS.bindings()

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.preview = TextPane(id="preview")
        self.preview.can_focus = False
        self.verdict = Label("", markup=False, classes="field-error", id="verdict")
        self.placing = False
        self._may_not = False
        self._unknown = ""  # says that the order may have been placed, until something is written or it is sent again

    @property
    def draft(self) -> OrderDraft:
        return self.desk.draft

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog form"):
            yield Label("New order", markup=False, classes="dialog-title")
            with Horizontal(classes="form-body"):
                with VerticalScroll(id="form-fields", can_focus=False):
                    yield from self._fields()
                yield self.preview
            yield self.verdict
            yield key_line(bar(KEYS), esc="keep")

    def _fields(self) -> Iterator[FormField]:
        for name, label in _TOP:
            yield self._field(name, label)
        for n in range(self.draft.lines):
            yield from self._line_fields(n)
        for name in ADDRESS_FIELDS:
            yield self._field(f"shipping_address.{name}", name.capitalize())

    def _line_fields(self, n: int) -> Iterator[FormField]:
        for name, label in zip(LINE_FIELDS, (f"{n + 1}. SKU", "  × quantity", "  at price"), strict=True):
            yield self._field(f"items[{n}].{name}", label)

    def _field(self, name: str, label: str) -> FormField:
        return FormField(name, label, self.draft.values.get(name, ""))

    def on_mount(self) -> None:
        self.preview_soon(after=0)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        field = event.input.query_ancestor(FormField)
        self.draft.set(field.field_name, event.value)
        self._unknown = ""
        self.preview_soon(after=self.desk.debounce)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.focus_next()

    def pressed(self, key: str) -> bool:
        if key not in ("down", "up"):
            return super().pressed(key)
        _ = self.focus_next() if key == "down" else self.focus_previous()
        return True

    def preview_soon(self, *, after: float) -> None:
        """Ask the server which events would be recorded; an earlier question that is not answered yet is given up.

        Whoever may not place an order is told so once: each further refusal would be a row of the audit.
        """
        if not self._may_not:
            self.run_worker(partial(self._preview, after), group="dry-run", exclusive=True, exit_on_error=False)

    async def _preview(self, after: float) -> None:
        await asyncio.sleep(after)
        try:
            events_to_be = await self.desk.gateway.dry_run(self._command())
        except ServiceRefused as refused:
            self._may_not = is_of_the_key(refused)
            self._show_preview([], self._what_is_wrong(refused))
        except GatewayError as error:
            self._show_preview([], str(error))
            if isinstance(error, NO_ANSWER):
                self.call_later(self.preview_soon, after=ASK_AGAIN)
        else:
            self._say({})
            self._show_preview(events_to_be, "")

    def _what_is_wrong(self, refused: ServiceRefused) -> str:
        """Show the errors of the fields that somebody has written in; say how much is missing besides."""
        errors = dict(self.draft.place(refused.errors)) if refused.errors else {"": str(refused)}
        shown = {name: error for name, error in errors.items() if not name or name in self.draft.touched}
        self._say(shown)
        missing = len(errors) - len(shown)
        if missing:
            return f"{missing} {'field is' if missing == 1 else 'fields are'} still empty"
        return "would be refused"

    def _command(self) -> CommandToSend:
        return CommandToSend("place", None, self.draft.body())

    def _show_errors(self, refused: ServiceRefused) -> None:
        self._say(dict(self.draft.place(refused.errors)) if refused.errors else {"": str(refused)})

    def _say(self, errors: dict[str, str]) -> None:
        for field in self.query(FormField):
            field.say(errors.get(field.field_name, ""))
        self.verdict.update(clean(errors.get("", "") or self._unknown))

    def _show_preview(self, events_to_be: Iterable[WireEvent], trouble: str) -> None:
        total = self.draft.total()
        lines = [[Cell(" Dry run (nothing is sent yet)", "head")], []]
        if trouble:
            lines.append([Cell(f" ✖ {clean(trouble)}", "bad")])
        for n, event in enumerate(events_to_be, 1):
            lines.append([Cell(f" {n} {clean(event.event_type)}", "good")])
            state = changes(TimelineState(), evolve(TimelineState(), event))
            lines += [[Cell(f"   {fit(c.label, 9)} ", "dim"), Cell(c.now)] for c in state if c.label != _NOT_YET_KNOWN]
        currency = self.draft.values["currency"].strip() or DEFAULTS["currency"]
        amount = "–" if total is None else money(total, currency)
        lines += [
            [],
            [Cell(" total      ", "dim"), Cell(amount)],
            [Cell(" sent as    ", "dim"), Cell(self.draft.key[:18] + "…", "dim")],
        ]
        self.preview.show(lines, keep_scroll=True)

    async def action_add_line(self) -> None:
        n = self.draft.add_line()
        fields = list(self._line_fields(n))
        after = next(f for f in self.query(FormField) if f.field_name == f"items[{n - 1}].{LINE_FIELDS[-1]}")
        await self.query_one("#form-fields").mount(*fields, after=after)
        self.set_focus(fields[0].input)

    async def action_example(self) -> None:
        self.draft.fill_in_example()
        await self._fill_in()

    async def action_swap(self) -> None:
        """Put this draft aside and take up the other one, which is empty at first."""
        self._unknown = ""
        self.desk.draft, self.desk.draft_aside = self.desk.draft_aside, self.desk.draft
        await self._fill_in()
        aside = "" if self.desk.draft_aside.blank else ": the one before is put aside, ctrl+n brings it back"
        self.verdict.update(f"another draft{aside}")

    async def _fill_in(self) -> None:
        """Show the draft that the Desk has now, with as many lines as it has."""
        fields = self.query_one("#form-fields")
        with self.prevent(Input.Changed):
            await fields.remove_children()
            await fields.mount(*self._fields())
        self.set_focus(self.query(FormField).first().input)
        self.preview_soon(after=0)

    def action_place(self) -> None:
        if reason := self.desk.why_no_writes():
            self.verdict.update(reason)
            self.preview_soon(after=0)
        elif not self.placing:
            self.placing = True
            self._unknown = ""
            self.verdict.update("… placing")
            self.post_message(Awaited(self.run_worker(self._place, group="place", exit_on_error=False)))

    async def _place(self) -> None:
        draft = self.draft
        key, draft.sent = draft.key, True
        try:
            receipt = await perform(self.desk.gateway, self._command(), key=key, clock=self.desk.clock)
        except ServiceRefused as refused:
            draft.touched.update(draft.values)
            self._what_is_wrong(refused)
            wrong = [f for f in self.query(FormField) if f.error.display]
            if wrong:
                self.set_focus(wrong[0].input)
        except TimedOut as error:
            self._unknown = f"{error}: whether it was placed is unknown; ctrl+s sends it again under the same key"
            self.verdict.update(self._unknown)
        except GatewayError as error:
            self.verdict.update(str(error))
        else:
            if draft.key == key:  # otherwise somebody has written in it meanwhile
                self.desk.forget_draft(draft)
            self.dismiss(receipt)
        finally:
            self.placing = False
