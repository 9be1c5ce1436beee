"""Saved views: filters of the list of orders that operators need again and again, by name."""

from __future__ import annotations

from typing import NamedTuple

from tui.gateway import NEWEST_FIRST


class SavedView(NamedTuple):
    """`text` as the operator would type it; `sort` in the API's words."""

    name: str
    text: str
    sort: str = NEWEST_FIRST


BUILT_IN = (
    SavedView("stuck", "saga:stuck"),
    SavedView("retrying", "saga:retrying"),
    SavedView("money open", "open>0", "-total_amount"),
    SavedView("mine", "mine"),
    SavedView("today", "created:today"),
)
