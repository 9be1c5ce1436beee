"""How an answer names the fields of a command that nobody knows, which were ignored."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

HEADER = "Orderdeck-Ignored-Fields"
MOST = 20


def listed(paths: Sequence[str]) -> tuple[str, ...]:
    """The first of them; a last entry says how many more there are."""
    return tuple(paths) if len(paths) <= MOST else (*paths[:MOST], f"and {len(paths) - MOST} more")


def in_a_header(paths: Sequence[str]) -> str:
    """With commas between; what is no visible ASCII is percent-encoded."""
    return ", ".join(quote(path, safe="!#$&'()*+./:;=?@[]^_`{|}~- ") for path in paths)
