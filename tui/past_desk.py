"""The desk of an earlier moment, and the question for that moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import cast

from textual.dom import DOMNode
from textual.screen import Screen

from core.filters.log_places import WANTED, place_in_log
from core.filters.words import FilterError
from tui.desk import Desk
from tui.dialogs.ask import Ask, Field
from tui.dialogs.dialog import open_dialog
from tui.gateway import Gateway
from tui.messages import Missed, Say
from tui.past_gateway import PastGateway
from tui.viewmodels.text import wrapped


def ask_moment(node: DOMNode, answered: Callable[[str], None]) -> None:
    """Ask for a moment, and hand on what was typed."""
    lines = (
        "The orders, each order and each saga as they were at that moment.",
        "Nothing can be changed there.",
        *wrapped(f"{WANTED}. Times are in UTC.", 70),
    )
    dialog = Ask("Look at another moment", lines, [Field("moment", "the moment")])
    open_dialog(node, dialog, lambda fields: answered(fields["moment"]) if fields is not None else None)


def open_past(node: DOMNode, desk: Desk, moment: str, screen: Callable[[Desk], Screen[None]]) -> None:
    """Lay the screen of that moment over the deck; a text that names no moment is told instead."""
    try:
        past = past_desk(desk, moment)
    except FilterError as error:
        node.post_message(Say(str(error), "warn"))
        node.post_message(Missed(str(error)))
        return
    node.app.push_screen(screen(past))  # pyright: ignore[reportUnknownMemberType] - Textual's own App is generic


def past_desk(desk: Desk, moment: str) -> Desk:
    """A desk that shows what was at that moment. Raises FilterError if the text names none."""
    place = place_in_log(moment, desk.now())
    if isinstance(place, datetime):
        at = place
        named, as_of = f"at {at:%Y-%m-%d %H:%M:%S} UTC", at.isoformat()
        now: Callable[[], datetime] = lambda: at  # noqa: E731 - what the desk takes is a function
    else:
        named, as_of, now = f"after position {place:,}", str(place), desk.now
    gateway = PastGateway(desk.gateway, as_of)
    return Desk(
        cast("Gateway", gateway),
        clock=desk.clock,
        now=now,
        debounce=desk.debounce,
        config=desk.config,
        past=named,
    )
