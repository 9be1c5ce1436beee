"""What the daemons logged around an event, over the deck until it is closed."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import msgspec
from textual.dom import DOMNode

from tui.daemons import Daemons, DaemonsError
from tui.desk import Desk
from tui.dialogs.dialog import open_dialog
from tui.dialogs.lines import LinesDialog
from tui.messages import Say
from tui.viewmodels.daemons import FROM_AFAR
from tui.wire import Unreadable, read_json

NEAR = timedelta(seconds=5)
MOST_LINES = 500
_objects = msgspec.json.Decoder(dict[str, Any])


async def show_log_around(node: DOMNode, desk: Desk, moment: datetime) -> None:
    """Read the ends of all logs, and open the lines of that time; say why none can be read."""
    try:
        daemons = await asyncio.to_thread(desk.open_daemons)
        lines = None if daemons is None else await log_around(daemons, moment)
    except DaemonsError as error:
        node.post_message(Say(f"no log can be read: {error}"))
        return
    if lines is None:
        node.post_message(Say(f"no log of a daemon can be read here: {FROM_AFAR}"))
        return
    title = f"What the daemons logged within {NEAR.seconds} s of {moment:%Y-%m-%d %H:%M:%S} UTC"
    nothing = ["Nothing. Only the end of each log is read, and a daemon that has no trouble logs little."]
    open_dialog(node, LinesDialog(title, lines or nothing), lambda _: None)


async def log_around(daemons: Daemons, moment: datetime) -> list[str]:
    """The lines of all daemons that were logged around that time, each after its daemon's name, the oldest first."""
    found = list[tuple[datetime, str]]()
    for state in await daemons.states():
        for line in (await daemons.tail(state.name, after=None)).text.splitlines():
            at = _logged_at(line)
            if at is not None and abs(at - moment) <= NEAR:
                found.append((at, f"{at:%H:%M:%S.%f} {state.name}: {line}"))
    return [line for _, line in sorted(found)[:MOST_LINES]]


def _logged_at(line: str) -> datetime | None:
    """The time in a line of a daemon's log; None for what is no such line, as those of postgres."""
    try:
        at = datetime.fromisoformat(str(read_json(line.encode(), _objects).get("timestamp")))
    except (Unreadable, ValueError):
        return None
    return at if at.tzinfo else None
