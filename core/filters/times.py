"""Reads the times of a filter: a day, a month, a moment, a range of them, or how long ago something was."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from core.filters.words import FilterError, FilterWord, no_negation

TICK = timedelta(microseconds=1)  # no two times that are kept differ by less
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONTH = re.compile(r"\d{4}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt_](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)(Z|z|[+-]\d{2}:\d{2})?", re.ASCII)
_SPAN = re.compile(r"(?:(\d{1,9})w)?(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)


class TimeRange(NamedTuple):
    """From a time on, up to another one that is not in it; None is open."""

    start: datetime | None = None
    end: datetime | None = None

    def within(self, other: TimeRange) -> TimeRange:
        """What both have in common."""
        starts = [time for time in (self.start, other.start) if time is not None]
        ends = [time for time in (self.end, other.end) if time is not None]
        return TimeRange(max(starts, default=None), min(ends, default=None))

    @property
    def empty(self) -> bool:
        return self.start is not None and self.end is not None and self.start >= self.end


def time_range(word: FilterWord, now: datetime) -> TimeRange:
    """The range of `created:2026-03-14`, `created>=today`, `created:2026-03-01..2026-03-07`. Raises FilterError."""
    no_negation(word)
    first, dots, last = word.value.partition("..")
    if not dots:
        return _compared(word.sign, _stretch(word.field, word.value, now))
    if word.sign != ":" or not (first or last):
        raise FilterError(f"{word.field}: a range is written {word.field}:2026-03-01..2026-03-07")
    start = _stretch(word.field, first, now)[0] if first else None
    end = _stretch(word.field, last, now)[1] if last else None
    if start is not None and end is not None and start >= end:
        raise FilterError(f"{word.field}: {word.value} ends before it begins")
    return TimeRange(start, end)


def age_range(word: FilterWord, now: datetime) -> TimeRange:
    """The times at which something happened whose age fits: `age<2h`, `age>3d`, `age:1h..2h`. Raises FilterError."""
    no_negation(word)
    first, dots, last = word.value.partition("..")
    if dots and word.sign == ":" and first and last:
        newest, oldest = _ago(word, first, now), _ago(word, last, now)
        if oldest > newest:
            raise FilterError(f"{word.field}: {word.value} ends before it begins")
        return TimeRange(oldest, _next(newest))
    if dots or word.sign == ":":
        raise FilterError(f"{word.field} is compared: write {word.field}<2h, {word.field}>3d or {word.field}:1h..2h")
    then = _ago(word, word.value, now)
    opposite = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[word.sign]  # what is younger happened later
    return _compared(opposite, (then, _next(then)))


def _compared(sign: str, stretch: tuple[datetime, datetime]) -> TimeRange:
    start, end = stretch
    match sign:
        case ">":
            return TimeRange(start=end)
        case ">=":
            return TimeRange(start=start)
        case "<":
            return TimeRange(end=start)
        case "<=":
            return TimeRange(end=end)
        case _:
            return TimeRange(start, end)


def _stretch(field: str, text: str, now: datetime) -> tuple[datetime, datetime]:
    """The beginning of a day, month or moment, and its end, which is no longer in it."""
    today = now.astimezone(UTC).date()
    word = text.lower()
    try:
        if word in ("today", "yesterday"):
            day = today - timedelta(days=word == "yesterday")
            return _begin(day), _day_after(day)
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return _begin(day), _day_after(day)
        if _MONTH.fullmatch(text):
            month = date.fromisoformat(f"{text}-01")
            return _begin(month), _month_after(month)
        if found := _MOMENT.fullmatch(text):
            zone = (found[3] or "Z").upper().replace("Z", "+00:00")
            moment = datetime.fromisoformat(f"{found[1]}T{found[2]}{zone}").astimezone(UTC)
            return moment, _next(moment)
    except (ValueError, OverflowError):
        pass
    if _SPAN.fullmatch(word) and word:
        other = {"created": "age", "updated": "idle"}.get(field, "age")
        raise FilterError(f"{field}: needs a time; for how long ago there is {other}: {other}<{word}")
    wanted = "a day such as 2026-03-14 or today, or a time such as 2026-03-14T15:00Z"
    raise FilterError(f"{field}: needs {wanted}, not {text}")


def _begin(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _day_after(day: date) -> datetime:
    return LAST if day == date.max else _begin(day + timedelta(days=1))


def _month_after(day: date) -> datetime:
    if (day.year, day.month) == (9999, 12):
        return LAST
    return _begin(date(day.year + day.month // 12, day.month % 12 + 1, 1))


def _next(moment: datetime) -> datetime:
    return moment if moment == LAST else moment + TICK


def _ago(word: FilterWord, text: str, now: datetime) -> datetime:
    try:
        return now.astimezone(UTC) - read_span(text)
    except ValueError as error:
        raise FilterError(f"{word.field}: needs {error}") from None
    except OverflowError:
        return FIRST


def read_span(text: str) -> timedelta:
    """A span of time that somebody has written. Raises ValueError with what is allowed, and OverflowError."""
    found = _SPAN.fullmatch(text.lower())
    if not text or found is None:
        raise ValueError(f"a duration such as 90s, 15m, 2h, 1h30m, 3d or 2w, not {text}")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
