"""The questions about a whole list of orders: how to sort it, which saved view to show, what to do with many orders."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import NamedTuple

from textual.dom import DOMNode

from core.printable import clean
from core.terminal_text import counted
from tui.desk import Desk
from tui.dialogs.ask import Ask, Field, Menu
from tui.dialogs.bulk import BulkDialog
from tui.dialogs.dialog import open_dialog
from tui.messages import Say
from tui.viewmodels.bulk import BulkOrder, matching
from tui.viewmodels.order_rows import SORTS
from tui.viewmodels.saved_views import SavedView
from tui.viewmodels.statuses import CANCEL, CONFIRM, DELIVER, Transition

_KEYS = "123456789abcdefghijklm"  # one for each line of a menu
_FOR_MANY = (CONFIRM, DELIVER, CANCEL)  # a shipment needs a tracking number of its own


class _MenuLine(NamedTuple):
    key: str
    label: str
    at: int


def _lines(labels: Sequence[str]) -> list[_MenuLine]:
    return [_MenuLine(key, label, n) for n, (key, label) in enumerate(zip(_KEYS, labels, strict=False))]


def ask_sort(node: DOMNode, chosen: Callable[[str], None]) -> None:
    sorts = list(SORTS)
    menu = Menu("Sort the orders", _lines(list(SORTS.values())))
    open_dialog(node, menu, lambda line: None if line is None else chosen(sorts[line.at]))


def ask_saved_view(node: DOMNode, views: Sequence[SavedView], chosen: Callable[[SavedView], None]) -> None:
    labels = [f"{clean(view.name):<14}  {clean(view.text)}" for view in views]
    open_dialog(
        node, Menu("Saved views", _lines(labels)), lambda line: None if line is None else chosen(views[line.at])
    )


def ask_bulk(node: DOMNode, desk: Desk) -> None:
    """Do something with the marked orders; without marks, with all that the filter shows now."""
    marked = list(desk.marks.orders.values())
    query, total = desk.orders.query, desk.orders.total
    whole = "all" if total is None else f"all {total:,}"
    title = (
        counted(len(marked), "marked order") if marked else f"{whole} orders of the list, also those not on the screen"
    )

    async def frozen() -> AsyncGenerator[list[BulkOrder]]:
        if marked:
            yield marked
            return
        async for orders in matching(desk.gateway, query):
            yield orders

    def start(transition: Transition, body: Mapping[str, str] | None) -> None:
        if body is None:
            node.post_message(Say("nothing was sent", "dim"))
        else:
            dialog = BulkDialog(desk.gateway, transition.verb, body, frozen(), desk.why_no_writes)
            open_dialog(node, dialog, ended)

    def ended(sentence: str | None) -> None:
        if sentence:
            desk.marks.clear()
            desk.forget_unsent("cancel", "many")
        node.post_message(Say(sentence or "nothing was sent", "good" if sentence else "dim"))

    def chosen(transition: Transition | None) -> None:
        if transition is CANCEL:
            told = ["The same reason stands with each of them. Nothing is sent before their number is typed."]
            ask = Ask(
                f"Cancel {title}?",
                told,
                (Field("reason", "Reason"),),
                desk.unsent("cancel", "many"),
                desk.why_no_writes,
            )
            open_dialog(node, ask, lambda body: start(CANCEL, body))
        elif transition is not None:
            start(transition, {})

    open_dialog(node, Menu(title, _FOR_MANY), chosen)
