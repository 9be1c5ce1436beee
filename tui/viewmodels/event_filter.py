"""The filter line of the stream: `type:payment by:ada text` becomes an EventFilter, or a sentence on what is wrong.

A filter judges an event by its bytes, so that 20,000 a second can be judged. What the service can select too, it is
asked to select, when the log is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from core.filters.words import FilterError, nearest, no_comparison, words_of
from tui.viewmodels.ring import RingFrame
from tui.wire import Unreadable, read_json

FIELDS = ("type", "category", "stream", "order", "by")
CATEGORIES = ("order", "inventory", "payment", "saga", "reader", "customer")
SHORTEST_ID = 6  # characters of an id that are looked for
_MOST_JUDGED = 1_000  # types of event whose judgement is remembered


class _Who(Struct, frozen=True):
    correlation_id: str = ""
    user_id: str | None = None


class EventFacts(Struct, frozen=True):
    """What a filter looks at besides an event's type and its text."""

    aggregate_type: str = ""
    aggregate_id: str = ""
    metadata: _Who = _Who()


_facts = msgspec.json.Decoder(EventFacts)


class Condition(NamedTuple):
    """One word of a filter line: one of `values` must fit, or, of an `unwanted` one, none may."""

    name: str
    values: tuple[str, ...]
    unwanted: bool = False


def _begins(values: Sequence[str], text: str) -> bool:
    text = text.lower()
    return any(fnmatchcase(text, value) if "*" in value else text.startswith(value) for value in values)


JUDGES: Mapping[str, Callable[[Sequence[str], EventFacts], bool]] = {
    "category": lambda values, facts: facts.aggregate_type.lower() in values,
    "stream": lambda values, facts: any(
        f"{facts.aggregate_type}-{facts.aggregate_id}".lower().endswith(value) or _named(value, facts)
        for value in values
    ),
    "order": lambda values, facts: facts.metadata.correlation_id.lower() in values,
    "by": lambda values, facts: _begins(values, facts.metadata.user_id or ""),
}


def _named(value: str, facts: EventFacts) -> bool:
    """Whether a stream is the one that a row shows as `order-9f3c0d5e2a41`: its category and the end of its id."""
    category, dash, end = value.partition("-")
    return bool(dash and end) and facts.aggregate_type == category and facts.aggregate_id.endswith(end)


@dataclass(frozen=True)
class EventFilter:
    """`hidden` are the types that were switched off one by one; `words` are looked for anywhere in an event.

    `numbers` are order numbers whose orders are not known yet: until `with_orders` names their ids, nothing fits.
    """

    conditions: tuple[Condition, ...] = ()
    words: tuple[Condition, ...] = ()
    hidden: frozenset[str] = frozenset()
    numbers: tuple[str, ...] = ()
    _judged: dict[str, bool] = field(default_factory=dict[str, bool], compare=False)

    @property
    def everything(self) -> bool:
        return not (self.conditions or self.words or self.hidden)

    def takes(self, frame: RingFrame) -> bool:
        if self.everything:
            return True
        if not self._takes_type(frame.event_type):
            return False
        return self._takes_facts(frame.data) and self._takes_text(frame.data)

    def _takes_type(self, name: str) -> bool:
        judged = self._judged.get(name)
        if judged is None:
            judged = name not in self.hidden and all(
                _begins(one.values, name) != one.unwanted for one in self.conditions if one.name == "type"
            )
            if len(self._judged) < _MOST_JUDGED:
                self._judged[name] = judged
        return judged

    def _takes_facts(self, data: bytes) -> bool:
        asked = [one for one in self.conditions if one.name != "type"]
        if not asked:
            return True
        if self.numbers:
            return False
        try:
            facts = read_json(data, _facts)
        except Unreadable:
            return False
        return all(JUDGES[one.name](one.values, facts) != one.unwanted for one in asked)

    def _takes_text(self, data: bytes) -> bool:
        if not self.words:
            return True
        if all(value.isascii() for one in self.words for value in one.values):
            text = data.lower()
            return all(any(v.encode() in text for v in one.values) != one.unwanted for one in self.words)
        folded = data.decode(errors="replace").lower()
        return all(any(v in folded for v in one.values) != one.unwanted for one in self.words)

    def params(self) -> dict[str, str]:
        """What the service can select, as parameters of `GET /api/v1/events`."""
        params: dict[str, str] = {}
        for one in self.conditions:
            if one.unwanted or one.name in params:
                continue
            if one.name == "type" and all(value.replace("*", "").isalnum() for value in one.values):
                params["type"] = ",".join(value if "*" in value else f"{value}*" for value in one.values)
            elif one.name == "category":
                params["category"] = ",".join(one.values)
            elif one.name in ("order", "stream") and len(one.values) == 1 and (whole := an_id(one.values[0])):
                params[f"{one.name}_id"] = whole
        return params

    @property
    def searches(self) -> bool:
        """Whether the deck has to look through more events than fit, since the service cannot select all of it."""
        served = {name.removesuffix("_id") for name in self.params()}
        names = [one.name for one in self.conditions]
        return bool(self.words or self.hidden) or len(names) > len(served) or any(n not in served for n in names)

    def with_orders(self, ids: Mapping[str, str]) -> EventFilter:
        """The filter with an order's id in place of its number."""
        changed = tuple(
            one._replace(values=tuple(ids.get(value, value) for value in one.values)) if one.name == "order" else one
            for one in self.conditions
        )
        return replace(self, conditions=changed, numbers=(), _judged={})

    def hiding(self, hidden: frozenset[str]) -> EventFilter:
        return replace(self, hidden=hidden, _judged={})


def an_id(text: str) -> str | None:
    """The id in a text, as the service writes it; None when it is no whole id."""
    try:
        return str(UUID(text)) if len(text) == 36 else None
    except ValueError:
        return None


def parse_events(text: str) -> EventFilter:
    """Raises FilterError. Values may be several, with commas between; `-` before a word keeps out what fits it."""
    conditions: list[Condition] = []
    words: list[Condition] = []
    for word in words_of(text, FIELDS):
        if not word.field:
            unwanted = word.typed.startswith("-") and len(word.typed) > 1 and not word.quoted
            words.append(Condition("", (_as_json(word.typed[1:] if unwanted else word.typed),), unwanted))
            continue
        no_comparison(word)
        values = tuple(value.lower() for value in word.values)
        conditions.append(Condition(word.field, CHECKS.get(word.field, tuple)(values), word.negated))
    numbers = [value for one in conditions if one.name == "order" for value in one.values if an_id(value) is None]
    return EventFilter(tuple(conditions), tuple(words), numbers=tuple(dict.fromkeys(numbers)))


def _as_json(word: str) -> str:
    return msgspec.json.encode(word.lower())[1:-1].decode()


def _categories(values: tuple[str, ...]) -> tuple[str, ...]:
    found: list[str] = []
    for value in values:
        hits = [name for name in CATEGORIES if name.startswith(value)]
        if len(hits) != 1:
            raise FilterError(f"no category {value}: {nearest(value, CATEGORIES)}")
        found += hits
    return tuple(found)


def _stream_ids(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if len(value) < SHORTEST_ID:
            raise FilterError(f"stream:{value} is too short: an id, or at least its last {SHORTEST_ID} characters")
    return tuple(an_id(value) or an_id(value.partition("-")[2]) or value for value in values)


def _order_names(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if an_id(value) is None and len(value) < SHORTEST_ID:
            raise FilterError(f"order:{value} is neither an order number nor an order's id")
    return tuple(an_id(value) or value.upper() for value in values)


CHECKS: Mapping[str, Callable[[tuple[str, ...]], tuple[str, ...]]] = {
    "category": _categories,
    "stream": _stream_ids,
    "order": _order_names,
}
