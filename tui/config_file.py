"""Reads the file of the deck's configuration; every mistake in it is told in a sentence with its line and key."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import msgspec

from core.errors import ConfigurationError
from core.printable import clean
from tui.config import DeckConfig, Profile

LARGEST = 100_000  # bytes
_ALIKE = 0.6
_NOUNS = {"keymap": "action", "columns": "column", "theme": "theme"}
_KEY = re.compile(r"((ctrl|shift|alt)\+)*([a-z0-9_]+|[^\s,])")


class Mistake(NamedTuple):
    """What is wrong at a key of the file; `line` is 0 when it stands at no line in particular."""

    line: int
    key: str
    sentence: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{clean(self.key)} {clean(self.sentence)}" if self.key else f"{place}{clean(self.sentence)}"


class WrongConfig(ConfigurationError):
    """Names every mistake of the file."""

    def __init__(self, path: Path, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        told = "; ".join(map(str, self.mistakes[:3]))
        more = f"; and {len(self.mistakes) - 3} more" if len(self.mistakes) > 3 else ""
        super().__init__(f"{clean(str(path))}: {told}{more}")


def read_config(path: Path) -> tuple[DeckConfig, str]:
    """The configuration and the file's text; without a file, the defaults. Raises WrongConfig."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # reading a pipe or a terminal may wait for ever
            raise WrongConfig(path, [Mistake(0, "", "it is no file")])
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        return DeckConfig(), ""
    except OSError as error:
        raise WrongConfig(path, [Mistake(0, "", f"it cannot be read: {error.strerror}")]) from None
    if len(raw) > LARGEST:
        raise WrongConfig(path, [Mistake(0, "", f"it is larger than {LARGEST:,} bytes")])
    text = ""
    try:
        text = raw.decode()
        values = tomllib.loads(text)
    except UnicodeDecodeError:
        raise WrongConfig(path, [Mistake(0, "", "it is not UTF-8")]) from None
    except RecursionError:
        raise WrongConfig(path, [Mistake(0, "", "it is nested too deep")]) from None
    except tomllib.TOMLDecodeError as error:
        told = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error))
        line = int(told[2]) if told and told[2] else len(text.splitlines())
        raise WrongConfig(path, [Mistake(line, "", told[1] if told else str(error))]) from None
    mistakes = list(_wrong(values, DeckConfig, (), text))
    if mistakes:
        raise WrongConfig(path, mistakes)
    return msgspec.convert(values, DeckConfig), text


def with_profile(config: DeckConfig, name: str, path: Path) -> tuple[DeckConfig, Profile]:
    """The configuration as the profile of this name has it, or as it is without one. Raises WrongConfig."""
    name = name or config.profile
    if not name:
        return config, Profile()
    if name not in config.profiles:
        known = f"there are {', '.join(config.profiles)}" if config.profiles else "there is none"
        raise WrongConfig(path, [Mistake(0, "", f"there is no profile {name}: {known}")])
    profile = config.profiles[name]
    read_only, confirm = config.read_only or profile.read_only, config.confirm or profile.confirm
    return msgspec.structs.replace(config, profile=name, read_only=read_only, confirm=confirm), profile


def mistaken_names(config: DeckConfig, text: str, known: Mapping[str, Iterable[str]]) -> list[Mistake]:
    """The names that nothing has: `known` are those of the actions (`keymap`), of the `columns` and of the `theme`s."""
    named = [(("keymap", name), name) for name in config.keymap]
    named += [(("columns",), name) for name in config.columns]
    named += [(("theme",), config.theme)]
    wrong = [
        mistake_at(place, text, f"{name} is the name of no {_NOUNS[place[0]]}{_meant(name, known[place[0]])}")
        for place, name in named
        if name not in set(known[place[0]])
    ]
    return wrong + [
        mistake_at(("keymap", name), text, "must be keys, as in ctrl+k or K,f5")
        for name, keys in config.keymap.items()
        if not all(_KEY.fullmatch(key.strip()) for key in keys.split(","))
    ]


def _wrong(values: Mapping[str, Any], kind: type[msgspec.Struct], place: tuple[str, ...], text: str) -> list[Mistake]:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    wrong: list[Mistake] = []
    for name, value in values.items():
        here = (*place, name)
        if name not in fields:
            wrong.append(Mistake(_line(text, here), ".".join(here), f"is not known here{_meant(name, fields)}"))
            continue
        wrong += _CHECKS[_kind_of(fields[name].default, name)](value, here, text)
    return wrong


def _kind_of(default: object, name: str) -> str:
    if name == "profiles":
        return "profiles"
    if isinstance(default, bool):
        return "bool"
    if name.endswith("_url"):
        return "url"
    if name == "columns":
        return "names"
    return "text" if isinstance(default, str) else "texts"


def _text(value: object, place: tuple[str, ...], text: str) -> list[Mistake]:
    return [] if isinstance(value, str) else [mistake_at(place, text, f"must be a text, not {_named(value)}")]


def _bool(value: object, place: tuple[str, ...], text: str) -> list[Mistake]:
    return [] if isinstance(value, bool) else [mistake_at(place, text, f"must be true or false, not {_named(value)}")]


def _url(value: object, place: tuple[str, ...], text: str) -> list[Mistake]:
    if not isinstance(value, str):
        return _text(value, place, text)
    try:
        parts = urlsplit(value)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        right = False
    return [] if right else [mistake_at(place, text, "must be an address, as in http://desk.example:8080")]


def _texts(value: object, place: tuple[str, ...], text: str) -> list[Mistake]:
    if not isinstance(value, dict):
        return [mistake_at(place, text, f"must be a table, not {_named(value)}")]
    members = cast("dict[str, object]", value)
    return [wrong for name, each in members.items() for wrong in _text(each, (*place, name), text)]


def _names_of(value: object, place: tuple[str, ...], text: str) -> list[Mistake]:
    right = isinstance(value, list) and all(isinstance(each, str) for each in cast("list[object]", value))
    return [] if right else [mistake_at(place, text, "must be a list of texts")]


def _profiles(value: object, place: tuple[str, ...], text: str) -> list[Mistake]:
    if not isinstance(value, dict):
        return [mistake_at(place, text, f"must be a table, not {_named(value)}")]
    wrong: list[Mistake] = []
    for name, each in cast("dict[str, object]", value).items():
        here = (*place, name)
        if isinstance(each, dict):
            wrong += _wrong(cast("dict[str, Any]", each), Profile, here, text)
        else:
            wrong.append(mistake_at(here, text, f"must be a table, not {_named(each)}"))
    return wrong


_CHECKS: dict[str, Callable[[object, tuple[str, ...], str], list[Mistake]]] = {
    "text": _text, "bool": _bool, "url": _url, "texts": _texts, "names": _names_of, "profiles": _profiles,
}  # fmt: skip


def mistake_at(place: tuple[str, ...], text: str, sentence: str) -> Mistake:
    return Mistake(_line(text, place), ".".join(place), sentence)


def _named(value: object) -> str:
    for kind, name in _NAMES:
        if isinstance(value, kind):
            return name
    return "a date"


_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "true or false"), (int, "a whole number"), (float, "a number"), (str, "a text"), (list, "a list"),
    (dict, "a table"),
)  # fmt: skip


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name[:100], known, 1, _ALIKE)
    return f": did you mean {close[0]}?" if close else ""


def _line(text: str, place: tuple[str, ...]) -> int:
    """The line where a key is written; 0 when it is written in a way that is not looked for, as within braces."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            table = _names(header[1])
            if table == place:
                return number
        elif (entry := re.match(r"\s*([^=#]+?)\s*=", line)) and (*table, *_names(entry[1])) == place:
            return number
    return 0


def _names(dotted: str) -> tuple[str, ...]:
    """The names of a key with dots, which may be quoted."""
    parts = re.findall(r"\"([^\"]*)\"|'([^']*)'|([^.\s\"']+)", dotted)
    return tuple(double or single or bare for double, single, bare in parts)
