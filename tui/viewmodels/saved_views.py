"""Saved views: filters of the list of orders that operators need again and again, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tui.gateway import NEWEST_FIRST

MINE = "{mine}"


class SavedView(NamedTuple):
    """`text` as the operator would type it, where MINE stands for the orders of this deck's own commands.

    `sort` is in the API's words.
    """

    name: str
    text: str
    sort: str = NEWEST_FIRST

    def filled(self, mine: Sequence[str]) -> str | None:
        """The text with the ids of the deck's own orders in it; None when it needs some and there are none."""
        if MINE not in self.text:
            return self.text
        return self.text.replace(MINE, ",".join(mine)) if mine else None


BUILT_IN = (
    SavedView("stuck", "saga:stuck"),
    SavedView("retrying", "saga:retrying"),
    SavedView("money open", "open>0", "-total_amount"),
    SavedView("mine", f"order:{MINE}"),
    SavedView("today", "created:today"),
)
