"""Where to go in the log, in the words people use: `10:42`, `2026-03-14 10:42`, `yesterday`, `-5m`, `#48201330`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from core.filters.words import FilterError

WANTED = "10:42, 2026-03-14 10:42, yesterday 18:00, -5m, or a position such as #48201330"
_POSITION = re.compile(r"(?:#|pos(?:ition)? )?([0-9]{1,3}(?:[, _][0-9]{3})+|[0-9]{1,19})")
_AGO = re.compile(r"-?([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(s|sec|m|min|h|hour|d|day|w|week)s?( ago)?")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,6})?)?( ?[ap]m)?")
_DAY = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})|([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})?")
_ZONE = re.compile(r" ?(z|utc|[+-][0-9]{2}:?[0-9]{2})$")


def place_in_log(text: str, now: datetime) -> int | datetime:
    """A position or a moment in UTC. Raises FilterError.

    A time without a date is the last one that was; a date alone is its beginning.
    """
    words = " ".join(text.lower().replace("t", " ", 1).split() if _DAY.match(text) else text.lower().split())
    if words == "now":
        return now
    if words.startswith("#") and not _POSITION.fullmatch(words):
        raise FilterError(f"{text.strip()} is no position: a number such as #48201330")
    if found := _POSITION.fullmatch(words):
        position = int(re.sub(r"[, _]", "", found[1]))
        if position >= 2**63:
            raise FilterError("no log is so long")
        return position
    if found := _AGO.fullmatch(words):
        return _earlier(now, float(found[1]) * _SECONDS[found[2][0]])
    try:
        return _moment(words, now)
    except (ValueError, OverflowError):
        raise FilterError(f"{text.strip()!r} is no time and no position: try {WANTED}") from None


def _earlier(now: datetime, seconds: float) -> datetime:
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        raise FilterError("nothing was recorded so long ago") from None


def _moment(words: str, now: datetime) -> datetime:
    zone = UTC
    if found := _ZONE.search(words):
        if found[1] not in ("z", "utc"):
            zone = datetime.strptime(found[1].replace(":", ""), "%z").tzinfo or UTC
        words = words[: found.start()]
    now = now.astimezone(zone)
    day, rest = _day(words, now)
    if not rest:
        if day is None:
            raise ValueError(words)
        return day.astimezone(UTC)
    clock = _CLOCK.fullmatch(rest)
    if clock is None:
        raise ValueError(rest)
    hour, half = int(clock[1]), (clock[5] or "").strip()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(rest)
        hour = hour % 12 + (12 if half == "pm" else 0)
    start = now if day is None else day
    micros = int(float(clock[4] or 0) * 1_000_000)
    then = start.replace(hour=hour, minute=int(clock[2]), second=int(clock[3] or 0), microsecond=micros)
    if day is None and then > now:
        then -= timedelta(days=1)
    return then.astimezone(UTC)


def _day(words: str, now: datetime) -> tuple[datetime | None, str]:
    """The beginning of the day that the words name first, and the words after it."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first, _, rest = words.partition(" ")
    if first in ("today", "yesterday"):
        return midnight - timedelta(days=first == "yesterday"), rest
    found = _DAY.fullmatch(first)
    if found is None:
        return None, words
    if found[1]:
        return midnight.replace(year=int(found[1]), month=int(found[2]), day=int(found[3])), rest
    year = int(found[6]) if found[6] else now.year
    return midnight.replace(year=year, month=int(found[5]), day=int(found[4])), rest


def from_milliseconds(since_1970: int) -> datetime | None:
    """The moment of a clock that counts milliseconds, as in an id of version 7; None beyond the calendar."""
    try:
        return datetime.fromtimestamp(since_1970 / 1_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
