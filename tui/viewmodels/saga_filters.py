"""The filter line of the sagas: `state:failed name:unwind 503` becomes a query, or a sentence that says why not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.filters.words import FilterError

FIELDS = ("state", "status", "order", "name", "error")
STATES = ("failed", "overdue", "retrying", "expiring", "running", "waiting")
SAGA_STATUSES = ("RUNNING", "COMPENSATING", "COMPLETED", "COMPENSATED", "FAILED", "RESOLVED")
_ID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_NUMBER = re.compile(r"ORD-[0-9A-Z]+", re.IGNORECASE)


@dataclass(frozen=True)
class SagaQuery:
    """Which sagas the list shows; what is empty means any.

    `about` is the id of a saga or of an order. `order` is an order's id or number. `error`: a part of the last error.
    """

    states: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    order: str = ""
    about: str = ""
    name: str = ""
    error: str = ""

    def within(self, states: Sequence[str]) -> SagaQuery:
        """The same, of the sagas in these states; unless the states to show are typed in the filter line."""
        return self if self.states or self.statuses or self.about else replace(self, states=tuple(states))


def parse_saga_filter(text: str) -> SagaQuery:
    """Raises FilterError. Free text is a saga's id, an order's id or number, or a part of the last error."""
    values: dict[str, str] = {}
    words: list[str] = []
    for word in text.split():
        name, colon, value = word.partition(":")
        if not colon or name.lower() not in FIELDS:
            if colon and (near := difflib.get_close_matches(name.lower(), FIELDS, n=1)):
                raise FilterError(f"no field {name}: did you mean {near[0]}:?")
            words.append(word)
            continue
        if not value:
            raise FilterError(f"{name}: needs a value")
        if name.lower() in values:
            raise FilterError(f"{name}: is given twice")
        values[name.lower()] = value
    query = SagaQuery(
        states=_several("state", STATES, values.get("state")),
        statuses=_several("status", SAGA_STATUSES, values.get("status")),
        order=values.get("order", ""),
        name=values.get("name", ""),
        error=values.get("error", ""),
    )
    if not words:
        return query
    if len(words) == 1 and _ID.fullmatch(words[0]):
        return replace(query, about=words[0].lower())
    if len(words) == 1 and _NUMBER.fullmatch(words[0]):
        return replace(query, order=words[0].upper())
    return replace(query, error=" ".join(filter(None, [query.error, *words])))


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def _several(field: str, names: Sequence[str], value: str | None) -> tuple[str, ...]:
    """The names that begin with one of the values between commas."""
    found = list[str]()
    for part in [] if value is None else value.split(","):
        hits = [name for name in names if name.lower().startswith(part.lower())] if part else []
        exact = [name for name in hits if name.lower() == part.lower()]
        if not hits or (len(hits) > 1 and not exact):
            what = f"{field}:{part} could be {' or '.join(hits)}" if hits else f"no {field} {part}"
            raise FilterError(f"{what}: there are {', '.join(name.lower() for name in names)}")
        found += exact or hits
    return tuple(dict.fromkeys(found))
