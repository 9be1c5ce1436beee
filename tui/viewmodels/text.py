"""Text for a terminal: makes one line of known width, without control codes, of whatever the data holds."""

from __future__ import annotations

import json
import textwrap
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from core.printable import LONGEST, clean
from core.terminal_text import money, span

MOST_LINES = 2_000
MOST_TEXT = 8 * 1024 * 1024  # characters of a document that are written out, of which a part is shown


class Cell(NamedTuple):
    """Text and the name of its tone; app.tcss says what a tone looks like."""

    text: str
    tone: str = ""


def wrapped(text: str, width: int) -> list[str]:
    """A text as clean lines of at most so many characters."""
    return textwrap.wrap(clean(text), max(10, width)) or [""]


def pretty(raw: bytes) -> list[str]:
    """A JSON document as clean lines; the last one says how many more there are beyond MOST_LINES."""
    try:
        document = json.loads(raw, parse_float=Decimal)
        parts = json.JSONEncoder(indent=2, ensure_ascii=False, default=str).iterencode(document)
        text, size = list[str](), 0
        for part in parts:
            text.append(part)
            size += len(part)
            if size > MOST_TEXT:  # deep nesting makes a text that is a thousand times as long as `raw`
                break
        lines = "".join(text).split("\n")
        more = f"{len(lines) - MOST_LINES:,}" if size <= MOST_TEXT else "many"
    except (ValueError, RecursionError):
        lines, more = raw[: LONGEST * 10].decode(errors="replace").split("\n"), "many"
    shown = [clean(line) + (" …" if len(line) > LONGEST else "") for line in lines[:MOST_LINES]]
    if len(lines) > MOST_LINES:
        shown.append(f"… {more} more lines, {len(raw):,} bytes in all")
    return shown


def plain(value: Any) -> str:
    """A value of a payload in a few words."""
    match value:
        case None:
            return "–"
        case str():
            return clean(value)
        case list() | dict():
            try:
                return clean(json.dumps(value, default=str, ensure_ascii=False)[:LONGEST])
            except (ValueError, RecursionError):
                return "…"
        case _:
            return clean(str(value))


def money_within(width: int, amount: Decimal, currency: str) -> str:
    """An amount with a currency that can be read where `money` is too wide: without commas, or without decimals."""
    text = money(amount, currency)
    if len(text) <= width or amount.adjusted() > width:
        return text
    text = text.replace(",", "")
    return text if len(text) <= width else f"≈{int(amount)} {clean(currency)}"


def age(then: datetime, now: datetime) -> str:
    """How long ago, in one word: whole seconds below a minute, so that it does not change ten times a second."""
    seconds = max(timedelta(), now - then).total_seconds()
    return f"{int(seconds)}s" if seconds < 60 else span(seconds).split(" ")[0]


def clock_time(then: datetime) -> str:
    return then.strftime("%H:%M:%S.") + f"{then.microsecond // 1000:03}"
