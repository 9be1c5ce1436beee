"""The filter line of the audit: `ana outcome:refused since:-1h` becomes what the API is asked, or says why not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from core.filters.log_places import place_in_log
from core.filters.words import FilterError, FilterWord, nearest, quoted, words_of

ASKED = {
    "caller": "caller",
    "from": "source",
    "action": "action",
    "on": "target",
    "outcome": "outcome",
    "since": "since",
    "until": "until",
    "request": "request_id",
    "before": "before",
}
"""The fields of the line, and what the API calls them."""
OUTCOMES = ("done", "refused", "failed")
LARGEST = 2**63 - 1


def parse_audit_filter(text: str, now: datetime) -> Mapping[str, str]:
    """The parameters of the API. Raises FilterError. Free text is an id that was acted on, or else a caller."""
    asked: dict[str, str] = {}
    for word in words_of(text, tuple(ASKED)):
        field = word.field or _meant(word)
        if word.negated or word.sign != ":":
            raise FilterError(f"{field}: takes a value, such as {field}:…, and no - < or >")
        if ASKED[field] in asked:
            raise FilterError(f"{field}: is given twice")
        asked[ASKED[field]] = _value(field, word.value, now)
    return asked


def with_field(text: str, field: str, value: str) -> str:
    """The line with this value in place of the one that the field has; without the field when the value is empty."""
    words = [(word.field or _meant(word), word.value) for word in words_of(text, tuple(ASKED))]
    wanted = [word for word in words if word[0] != field] + ([(field, value)] if value else [])
    return " ".join(f"{name}:{quoted(each)}" for name, each in wanted)


def _meant(word: FilterWord) -> str:
    try:
        UUID(word.value)
    except ValueError:
        return "caller"
    return "on"


def _value(field: str, value: str, now: datetime) -> str:
    match field:
        case "outcome":
            begun = [outcome for outcome in OUTCOMES if outcome.startswith(value.lower())]
            if not begun:
                raise FilterError(f"no outcome {value}: {nearest(value, OUTCOMES)}")
            return begun[0]
        case "since" | "until":
            moment = place_in_log(value, now)
            if not isinstance(moment, datetime):
                raise FilterError(f"{field}: takes a time, such as 09:00, -2h or 2026-03-14; before: takes a position")
            return moment.isoformat()
        case "before":
            digits = value.removeprefix("#")
            if not (digits.isascii() and digits.isdigit() and 1 <= int(digits[:30]) <= LARGEST):
                raise FilterError("before: takes a position of the audit, such as before:812")
            return str(int(digits))
        case _:
            return value
