"""The filter language for orders: what an operator types becomes an OrderQuery, or a sentence that says why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from core.domain.money import AMOUNT_TEXT, DECIMALS, FINEST, code_of
from core.domain.order_number import in_capitals
from core.filters.order_query import PAYMENT_STATUSES, STATUSES, OrderQuery, as_id
from core.filters.times import TimeRange, age_range, time_range
from core.filters.words import FilterError, FilterWord, nearest, no_comparison, no_negation, words_of

FIELDS = (
    "status", "payment", "customer", "sku", "currency", "order", "min", "max", "total", "created", "updated", "age",
    "idle",
)  # fmt: skip
LONGEST_TEXT = 100
LONGEST_QUERY = 6_000  # bytes as parameters of a request, whose address may have 8 KiB

_AMOUNT = re.compile(rf"({AMOUNT_TEXT.pattern})([A-Za-z]{{3}})?")
_WHOLE_NUMBER = re.compile(r"ORD-[0-9A-Z]{10}")
_TIMES = {"created": ("created", time_range), "updated": ("updated", time_range)} | {
    "age": ("created", age_range),
    "idle": ("updated", age_range),
}


def parse(text: str, now: datetime) -> OrderQuery:
    """The orders that a text asks for; `now` is what `today` and `age<2h` are counted from. Raises FilterError.

    Free text is the start of an order number or of a tracking number; a SKU; or the id of an order, of its payment or
    of one of its sagas.
    """
    reading = _Reading(now)
    for word in words_of(text, FIELDS):
        reading.take(word)
    return reading.query()


class _Reading:
    """What the words so far have said."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._lists: dict[str, Any] = {}  # tuples of texts by the names of the fields of a query
        self._ids: tuple[UUID, ...] = ()
        self._ends: dict[str, Any] = {}  # amounts, likewise
        self._times = {"created": TimeRange(), "updated": TimeRange()}
        self._free: list[FilterWord] = []
        self._currency_may_follow = False

    def take(self, word: FilterWord) -> None:
        may_be_currency, self._currency_may_follow = self._currency_may_follow, False
        match word.field:
            case "":
                if may_be_currency and not word.quoted and word.typed.upper() in DECIMALS:
                    self._currency(word.typed)
                else:
                    self._free.append(word)
            case "min" | "max" | "total":
                self._take_amount(word)
            case "created" | "updated" | "age" | "idle":
                column, read = _TIMES[word.field]
                self._times[column] = self._times[column].within(read(word, self._now))
            case "order":
                self._take_orders(word)
            case _:
                no_comparison(word)
                name = {"customer": "customer_id"}.get(word.field, word.field)
                self._put(f"not_{name}" if word.negated else name, word, _READERS[word.field])

    def query(self) -> OrderQuery:
        if len(self._free) > 1:
            what = "order number, SKU or tracking"
            raise FilterError(f"one search word only, not {len(self._free)}: {what}; quotation marks keep blanks")
        low, high = self._ends.get("min_total"), self._ends.get("max_total")
        if low is not None and high is not None and low > high:
            raise FilterError(f"min:{low:f} is above max:{high:f}")
        for column, times in self._times.items():
            if times.empty:
                raise FilterError(f"{column}: no time is in all of these ranges")
        query = OrderQuery(
            **self._lists,
            **self._ends,
            order_id=self._ids,
            created_from=self._times["created"].start,
            created_to=self._times["created"].end,
            updated_from=self._times["updated"].start,
            updated_to=self._times["updated"].end,
            q=_search_word(self._free[0]) if self._free else None,
        )
        if len(urlencode(query.params(), doseq=True)) > LONGEST_QUERY:
            raise FilterError("the filter is too long to be sent: leave some of its values out")
        return query

    def _put(self, name: str, word: FilterWord, read: Callable[[str], str]) -> None:
        if name in self._lists:
            raise FilterError(f"{word.field}: is given twice: write the values in one list, such as {word.field}:a,b")
        self._lists[name] = tuple(dict.fromkeys(map(read, word.values)))

    def _take_amount(self, word: FilterWord) -> None:
        no_negation(word)
        if word.field != "total":
            no_comparison(word)
            self._end(f"{word.field}_total", self._amount(word, word.value))
            return
        first, dots, last = word.value.partition("..")
        if dots and word.sign == ":" and (first or last):
            for name, text in (("min_total", first), ("max_total", last)):
                if text:
                    self._end(name, self._amount(word, text))
            return
        amount = self._amount(word, word.value)
        match word.sign:
            case ">" | ">=":
                self._end("min_total", amount + (FINEST if word.sign == ">" else 0))
            case "<" | "<=":
                if word.sign == "<" and not amount:
                    raise FilterError("total<0: no total is below 0")
                self._end("max_total", amount - (FINEST if word.sign == "<" else 0))
            case _:
                self._end("min_total", amount)
                self._end("max_total", amount)

    def _end(self, name: str, amount: Decimal) -> None:
        if name in self._ends:
            raise FilterError(f"{name.removesuffix('_total')}: is given twice")
        self._ends[name] = amount

    def _amount(self, word: FilterWord, text: str) -> Decimal:
        found = _AMOUNT.fullmatch(text)
        if found is None:
            raise FilterError(f"{word.field}: needs an amount such as 99.50, not {text}")
        currency = found[3]
        if currency:
            self._currency(currency)
        self._currency_may_follow = True
        return Decimal(found[1])

    def _currency(self, text: str) -> None:
        code = _currency(text)
        if self._lists.setdefault("currency", (code,)) != (code,):
            raise FilterError(f"amounts are in {code}, and currency: asks for {', '.join(self._lists['currency'])}")

    def _take_orders(self, word: FilterWord) -> None:
        no_negation(word)
        no_comparison(word)
        if self._ids or "order_number" in self._lists:
            raise FilterError("order: is given twice: write them in one list, such as order:ORD-1,ORD-2")
        ids = [as_id(value) for value in word.values]
        if any(ids) and not all(ids):
            raise FilterError("order: takes ids or numbers, not both in one list")
        self._ids = tuple(dict.fromkeys(id_ for id_ in ids if id_ is not None))
        if not self._ids:
            self._put("order_number", word, _order_number)


def _status(known: Sequence[str], field: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        value = text.upper()
        hits = [name for name in known if name.startswith(value)]
        if value in known or len(hits) == 1:
            return value if value in known else hits[0]
        there = f"there are {', '.join(name.lower() for name in known)}"
        if hits:
            raise FilterError(f"{field}:{text} could be {' or '.join(hits)}: {there}")
        hint = nearest(text, [name.lower() for name in known])
        raise FilterError(f"no {field} {text}: {hint if hint == there else f'{hint} {there}'}")

    return read


def _currency(text: str) -> str:
    code = code_of(text)
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        raise FilterError(f"currency: needs a code of three letters such as EUR, not {text}")
    return code


def _order_number(text: str) -> str:
    number = in_capitals(text)
    if not _WHOLE_NUMBER.fullmatch(number):
        raise FilterError(f"order:{text} is no whole number and no id; without order: it finds what begins with it")
    return number


def _search_word(word: FilterWord) -> str:
    if len(word.typed) > LONGEST_TEXT:
        raise FilterError(f"the search word has {len(word.typed)} characters, and may have {LONGEST_TEXT}")
    return word.typed


_READERS: dict[str, Callable[[str], str]] = {
    "status": _status(STATUSES, "status"),
    "payment": _status(PAYMENT_STATUSES, "payment"),
    "customer": str,
    "sku": str,
    "currency": _currency,
}
