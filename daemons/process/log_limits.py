"""Keeps a log short: a warning that repeats is written once, a flood of lines is thinned out, and no line is very long.

What was left out is counted, and the number stands in a later line. However many wrong requests callers send, they
cannot push everything else out of the log, which supervisord cuts at some size.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, cast

REPEATS_FOR = 60.0  # seconds in which the same warning or error is not written again
BURST = 20  # lines of one kind that may come at once
ONE_MORE_EVERY = 6.0  # seconds
MOST_KINDS = 500  # kinds and lines that are remembered; the oldest are forgotten
LONGEST_TEXT = 2_000  # characters of one value
LONGEST_TRACEBACK = 8_000  # characters; of a longer one the middle is left out


@dataclass
class _Kind:
    """Lines with the same event, whatever else they say."""

    may_come: float
    at: float
    left_out: int = 0


@dataclass
class _Line:
    until: float
    left_out: int = 0


class LogLimits(logging.Filter):
    """Ask it about each record before it is written."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._kinds: dict[str, _Kind] = {}
        self._lines: dict[str, _Line] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written. Adds to it how many like it were left out before."""
        now = self._monotonic()
        kind, line = _kind_and_line(record)
        same = self._lines.get(line)
        if same is not None and now < same.until and record.levelno >= logging.WARNING:
            same.left_out += 1
            return False
        if not self._within_the_rate(kind, now):
            return False
        left_out = self._kinds[kind].left_out + (same.left_out if same else 0)
        self._kinds[kind].left_out = 0
        self._lines.pop(line, None)
        self._lines[line] = _Line(now + REPEATS_FOR)
        for known in (self._kinds, self._lines):
            while len(known) > MOST_KINDS:
                del known[next(iter(known))]
        if left_out:
            _add(record, left_out)
        return True

    def _within_the_rate(self, name: str, now: float) -> bool:
        kind = self._kinds.pop(name, None) or _Kind(BURST, now)
        self._kinds[name] = kind  # at the end, since the first ones are forgotten first
        kind.may_come = min(BURST, kind.may_come + (now - kind.at) / ONE_MORE_EVERY)
        kind.at = now
        if kind.may_come < 1:
            kind.left_out += 1
            return False
        kind.may_come -= 1
        return True


def _kind_and_line(record: logging.LogRecord) -> tuple[str, str]:
    if isinstance(record.msg, dict):
        fields = {k: v for k, v in cast("dict[str, Any]", record.msg).items() if k not in {"timestamp", "_record"}}
        if fields.get("exc_info") is True:
            fields["exc_info"] = sys.exc_info()[1]
        return f"{record.name} {record.levelname} {fields.get('event')}", f"{record.levelname} {fields}"
    return f"{record.name} {record.levelname} {record.msg}", f"{record.name} {record.levelname} {record.getMessage()}"


def _add(record: logging.LogRecord, left_out: int) -> None:
    if isinstance(record.msg, dict):
        record.msg = cast("dict[str, Any]", record.msg) | {"left_out": left_out}
    else:
        record.msg = f"{record.getMessage()} (left out before: {left_out})"
        record.args = ()


def shortened(_: object, __: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog that cuts long values: the end of most texts, the middle of a traceback."""
    for key, value in event_dict.items():
        if key == "exception":
            event_dict[key] = _cut_middle(str(value))
        elif isinstance(value, str) and len(value) > LONGEST_TEXT:
            event_dict[key] = f"{value[:LONGEST_TEXT]}… ({len(value) - LONGEST_TEXT} more characters)"
        elif not isinstance(value, (str, int, float, bool, type(None))):
            text = repr(value)
            if len(text) > LONGEST_TEXT:
                event_dict[key] = f"{text[:LONGEST_TEXT]}… ({len(text) - LONGEST_TEXT} more characters)"
    return event_dict


def _cut_middle(text: str) -> str:
    extra = len(text) - LONGEST_TRACEBACK
    half = LONGEST_TRACEBACK // 2
    return text if extra <= 0 else f"{text[:half]}… ({extra} more characters) …{text[-half:]}"
