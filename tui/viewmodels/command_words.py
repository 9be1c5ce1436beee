"""The command line: what its words mean, what they may be completed to, and what stands in the list of commands."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

QUIT = ("q", "quit", "exit")
ORDER = "order"  # opens the view of one order by its number or id
AS_OF, COMPARE = "as-of", "compare"
_ALIKE = 0.5


class Suggestion(NamedTuple):
    """A row of the list under the command line: `answer` is what choosing it gives."""

    answer: str
    label: str
    hint: str = ""
    why_not: str = ""


class ParsedLine(NamedTuple):
    """What a command line asks for: `rest` is what follows the first word."""

    kind: Literal["open", "order", "as-of", "compare", "theme", "help", "quit"]
    name: str = ""
    rest: str = ""


class NoCommand(Exception):
    """Its text is the sentence that says why."""


@dataclass(frozen=True)
class Words:
    """What the first word may be: a view by its name, a saved view, or one of the others."""

    views: Mapping[str, str]
    themes: Sequence[str]
    saved: Mapping[str, str]

    def first(self) -> dict[str, str]:
        """The first words and what they do, in the order in which a beginning is looked up."""
        named = {name: f"open {title}" for name, title in self.views.items() if name not in ("detail", COMPARE)}
        order = {ORDER: "open an order by its number or id"} if "detail" in self.views else {}
        saved = {name: command for name, command in self.saved.items() if name not in named}
        others = {
            AS_OF: "show what was at a moment, as in :as-of 09:00",
            COMPARE: "what changed since, as in :compare 09:00, or :compare 09:00 .. 10:30",
            "theme": "change the colours",
            "help": "every key",
            "quit": "leave the deck",
        }
        return {**order, **named, **saved, **others}

    def parse(self, line: str) -> ParsedLine | None:
        """What a line asks for; None for an empty one. Raises NoCommand."""
        word, _, rest = line.strip().lstrip(":").strip().partition(" ")
        rest = rest.strip()
        if not word:
            return None
        name = self._full(word.lower())
        if name in self.saved and name not in self.views:
            return Words(self.views, self.themes, {}).parse(f"{self.saved[name]} {rest}")
        match name:
            case "quit" | "help":
                return ParsedLine(name)
            case "as-of":
                if not rest:
                    raise NoCommand("as-of needs a moment, as in :as-of 09:00")
                return ParsedLine("as-of", rest=rest)
            case "compare":
                if not rest:
                    raise NoCommand(
                        "compare needs a moment, as in :compare 09:00, or two, as in :compare 09:00 .. 10:30"
                    )
                return ParsedLine("compare", rest=rest)
            case "theme":
                return ParsedLine("theme", self._theme(rest))
            case "order":
                if not rest:
                    raise NoCommand("order needs a number or an id, as in :order ORD-1234567890")
                return ParsedLine("order", rest=rest)
            case _:
                return ParsedLine("open", name, rest)

    def complete(self, line: str) -> list[Suggestion]:
        """The lines that this one may become."""
        word, space, rest = line.lstrip(":").lstrip().partition(" ")
        first = self.first()
        if not space:
            return [Suggestion(name, name, told) for name, told in first.items() if name.startswith(word.lower())]
        if word.lower() == "theme":
            return [Suggestion(f"theme {name}", name) for name in self.themes if name.startswith(rest.strip().lower())]
        return []

    def _full(self, word: str) -> str:
        if word in QUIT:
            return "quit"
        first = self.first()
        if word in first:
            return word
        begun = [name for name in first if name.startswith(word)]
        if begun:
            return begun[0]
        close = difflib.get_close_matches(word[:40], first, 1, _ALIKE)
        meant = f": did you mean {close[0]}?" if close else ", tab shows those that there are"
        raise NoCommand(f"there is no command {word[:40]}{meant}")

    def _theme(self, name: str) -> str:
        if name in self.themes:
            return name
        begun = [theme for theme in self.themes if name and theme.startswith(name.lower())]
        if len(begun) == 1:
            return begun[0]
        raise NoCommand(
            f"there is no theme {name[:40]}" if name else "theme needs a name, tab shows those that there are"
        )
