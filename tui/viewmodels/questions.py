"""Questions: what the server is still to be asked about a list, so that the deck asks little however much changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

MOST_ASKED = 1_000  # rows about which it is still to be asked; with more, the whole list is read again
EVERY = {"again": 1.0, "rows": 0.25, "count": 2.0}  # seconds between two questions of one kind

Kind = Literal["again", "rows", "count"]


class Questions:
    """`again`: read the whole list again; `rows`: what became of these rows; `count`: how many there are now."""

    def __init__(self) -> None:
        self.again = False
        self.count = False
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._next: dict[str, float] = {}

    def ask(self, key: str) -> None:
        """Have the server say, soon, what this row is now and whether it belongs to the list."""
        if key in self._keys or len(self._keys) < MOST_ASKED:
            self._keys[key] = None
        else:
            self.again = self.count = True

    def first(self, most: int) -> list[str]:
        """The rows that have waited longest for an answer."""
        return [key for key, _ in zip(self._keys, range(most), strict=False)]

    def answered(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._keys.pop(key, None)

    def forget(self) -> None:
        """They were about another list."""
        self._keys.clear()
        self.again = self.count = False

    def due(self, now: float) -> Kind | None:
        """The question to ask now, if any."""
        open_: dict[Kind, bool] = {"again": self.again, "rows": bool(self._keys), "count": self.count}
        return next((kind for kind, is_open in open_.items() if is_open and now >= self._next.get(kind, 0.0)), None)

    def put(self, kind: Kind, now: float) -> None:
        """It is asked now, and not again for a while, also when no answer comes."""
        self._next[kind] = now + EVERY[kind]
