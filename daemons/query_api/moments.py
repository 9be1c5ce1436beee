"""Reads the times by which lists are filtered: a time of ISO 8601, or a date, which stands for that whole day."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import msgspec

from core.errors import FieldError
from daemons.http.problems import wrong_fields
from daemons.query_api.parameters import LARGEST

WANTED = (
    "must be a date, such as 2026-03-14, or a time, such as 2026-03-14T15:00:00Z or …+02:00, where + is sent as %2B"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PLUS_AS_BLANK = re.compile(r" (?=[0-9]{2}:?[0-9]{2}$)")
# Digits that the log does not have: they are cut off, so that no moment is rounded up.
_TOO_FINE = re.compile(r"(?<=\.[0-9]{6})[0-9]+")
_MINUTES = re.compile(r"(?<=[Tt ][0-9]{2}:[0-9]{2})(?=$|[Zz+-])")


def a_moment(name: str, text: str | None, *, end: bool = False) -> datetime | None:
    """The moment in UTC; of a date its beginning, or with `end` the beginning of the next day.

    Raises RequestRefused for a text that is neither.
    """
    return None if text is None else _moment(name, text, WANTED, end=end)


def a_place(name: str, text: str) -> int | datetime:
    """The position or the moment in UTC that a text names; of a date its beginning.

    Raises RequestRefused for a text that is neither.
    """
    if text.isascii() and text.isdigit():
        return min(int(text), LARGEST)
    return _moment(name, text, f"must be a position of the log, such as 1200, or a time: it {WANTED}", end=False)


def _moment(name: str, text: str, wanted: str, *, end: bool) -> datetime:
    try:
        if _DATE.fullmatch(text):
            return _day(date.fromisoformat(text), end=end)
        if "T" in text.upper() or text.count(":") > 1:
            text = _PLUS_AS_BLANK.sub("+", text)  # a + that is not percent-encoded arrives as a blank
        moment = msgspec.convert(_MINUTES.sub(":00", _TOO_FINE.sub("", text)), datetime)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (OverflowError, ValueError, msgspec.ValidationError):
        raise wrong_fields(FieldError(name, wanted)) from None


def _day(day: date, *, end: bool) -> datetime:
    begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if not end:
        return begins
    return datetime.max.replace(tzinfo=UTC) if day == date.max else begins + timedelta(days=1)
