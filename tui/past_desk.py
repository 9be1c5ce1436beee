"""The desk of an earlier moment, and the questions for a moment and for two."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from datetime import datetime
from typing import cast

from textual.dom import DOMNode
from textual.screen import Screen

from core.filters.log_places import WANTED, place_in_log
from core.filters.words import FilterError
from core.printable import clean
from tui.desk import Desk
from tui.dialogs.ask import Ask, Field
from tui.dialogs.dialog import open_dialog
from tui.gateway import Gateway
from tui.messages import Missed, Say
from tui.past_gateway import PastGateway, PastMoment
from tui.viewmodels.text import wrapped
from tui.viewmodels.two_moments import NOW, two_moments

_WANTED = tuple(wrapped(f"{WANTED}. Times are in UTC.", 70))


def ask_moment(node: DOMNode, desk: Desk, answered: Callable[[str], None]) -> None:
    """Ask for a moment, until a text is typed that names one, and hand it on."""
    lines = ("Every view that has a past as it was at that moment.", "Nothing can be changed there.", *_WANTED)
    kept: MutableMapping[str, str] = {}

    def why_not() -> str | None:
        return _wrong(lambda: moment_of(kept.get("moment", ""), desk.now()))

    dialog = Ask("Look at another moment", lines, [Field("moment", "the moment")], kept, why_not)
    open_dialog(node, dialog, lambda fields: answered(fields["moment"]) if fields is not None else None)


def ask_two_moments(node: DOMNode, desk: Desk, now: datetime, answered: Callable[[str], None]) -> None:
    """Ask which two moments to compare, and hand on both as the view of them takes them."""
    lines = ("What changed between them: orders, money, stock.", *_WANTED)
    kept = desk.unsent("compare", "")
    if desk.past is not None:
        kept["earlier"] = desk.past.as_of if isinstance(desk.past.place, datetime) else f"#{desk.past.as_of}"
        kept["later"] = NOW

    def text() -> str:
        return f"{kept.get('earlier', '')} .. {kept.get('later', '') or NOW}"

    fields = [Field("earlier", "from"), Field("later", "to", kept.get("later", NOW))]
    dialog = Ask("Compare two moments", lines, fields, kept, lambda: _wrong(lambda: two_moments(text(), now)))
    open_dialog(node, dialog, lambda said: answered(two_moments(text(), now).text) if said is not None else None)


def _wrong(read: Callable[[], object]) -> str | None:
    try:
        read()
    except FilterError as error:
        return str(error)
    return None


def moment_of(text: str, now: datetime) -> PastMoment:
    """The moment that a text names. Raises FilterError, also for one that is in the future."""
    place = place_in_log(text, now)
    if isinstance(place, datetime) and place > now:
        raise FilterError(f"{clean(text, 40)} is in the future: nobody knows that yet")
    return PastMoment(place)


def open_past(
    node: DOMNode, desk: Desk, moment: str, screen: Callable[[Desk], Screen[str]], left: Callable[[str | None], None]
) -> None:
    """Lay the screen of that moment over the deck; a text that names no moment is told instead.

    `left` gets the view that is to be shown now, if any, when the operator leaves the past.
    """
    try:
        past = past_desk(desk, moment)
    except FilterError as error:
        node.post_message(Say(str(error), "warn"))
        node.post_message(Missed(str(error)))
        return
    node.app.push_screen(screen(past), left)  # pyright: ignore[reportUnknownMemberType] - Textual's own App is generic


def past_desk(desk: Desk, text: str) -> Desk:
    """A desk that shows what was at that moment. Raises FilterError if the text names none."""
    moment = moment_of(text, desk.now())
    return Desk(
        cast("Gateway", PastGateway(desk.gateway, moment, desk.now)),
        clock=desk.clock,
        now=lambda: moment.at or desk.now(),
        debounce=desk.debounce,
        config=desk.config,
        past=moment,
    )
