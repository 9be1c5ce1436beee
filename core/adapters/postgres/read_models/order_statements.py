"""Writes the statements that read a page of orders: each has its JSON, the places of its ends, troubles and total.

There are three ways to find the orders of a page:

- A walk reads a bounded number of rows along an index that has the list's order. Its plan is made once for all values.
  Where few of many orders fit, it does not find a whole page. The list of a SKU is merged of several indexes.
  So is that of a range of totals, of its buckets.
- A probe reads the orders of a rare SKU, number or customer, and gives up when there are many. Its plan is made once.
- A look-up has PostgreSQL find all that fit, by a plan for these values, and sorts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from decimal import Decimal
from typing import Any, Literal

from asyncpg import Record
from msgspec.structs import replace

from core.adapters.postgres.read_models import order_page_sql
from core.adapters.postgres.read_models.order_conditions import (
    NAMES,
    conditions_of,
    found_by_index,
    together,
    without_negated_statuses,
)
from core.adapters.postgres.read_models.order_counts import SEEN
from core.adapters.postgres.read_models.order_shape import RANGES, SORTED_INDEXES, Shape
from core.adapters.postgres.read_models.order_troubles import with_troubles
from core.adapters.postgres.read_models.read_together import Statement
from core.filters.order_query import as_id
from core.ports.listed_orders import DocumentPage, OrderSearch

Way = Literal["short", "long", "far", "buckets"]
"""A walk along the index of the list, and how far it goes, or one along the index of the buckets of totals."""

LONGEST: dict[Way, int] = {
    "short": 1_000,  # before buckets of totals are looked into
    "long": 5_000,  # if one in 200 fits, a page of 20 is found within
    "buckets": 1_000,
    "far": 40_000,  # where many orders fit; it takes as long as looking up and sorting some 8 000 orders
}
"""How many rows a walk reads at most, but for one of buckets, which reads those of a page in each of them."""

MOST_PROBED = 500  # orders that a probe reads
MOST_IN_RANGE = 100  # the same of a range of totals; more are found sooner in its buckets
NARROW = Decimal("1.25")  # the largest total of a range by its least one, up to which its buckets are looked into first
WIDE = 4  # the same, from which on the list of all orders is walked far before buckets are looked into
MOST_LISTS = 8  # lists that are read one by one and merged

PROBED = ("order_id", "order_number", "q", "sku", "customer_id")
"""Fields of which one value may have few orders. The first one that a filter has is probed."""

TOTALS = frozenset(RANGES["total_amount"])
"""The fields that are probed together if a filter has both, and none of the others."""


class PageStatements:
    """The statements for one page. `total` and `seen` are SQL for what is told beside it, as `missing` is."""

    def __init__(self, search: OrderSearch, *, offset: int = 0) -> None:
        column = search.sort.removeprefix("-")
        beyond = "<" if search.sort.startswith("-") is not search.backwards else ">"
        self._search = search
        self.limit = search.limit
        self.begins = search.start is None and not offset
        self.fits = fits = without_negated_statuses(search.filter)
        lists = {field: set[str](getattr(fits, field)) for field in SORTED_INDEXES if getattr(fits, field)}
        fields = [field for field, values in lists.items() if len(values) <= MOST_LISTS]
        listed = min(fields, key=lambda one: len(lists[one])) if column == "created_at" and fields else None
        # A SKU has fewer orders than a status, and often more than a customer.
        if column == "created_at" and len(fits.sku) == 1 and listed != "customer_id":
            listed = "sku"
        self.conditions, self._values = conditions_of(replace(fits, **{listed: ()}) if listed else fits)
        self.field = field = listed if listed != "sku" else None
        each = sku = ""
        if listed == "sku":
            sku = f"{_add(self._values, fits.sku[0])}::text"
            self.conditions["sku"] = f"skus && ARRAY[{sku}]"
        if field is not None:
            each = f"{_add(self._values, sorted(lists[field]))}::text[]"
            self.conditions[field] = f"{SORTED_INDEXES[field]} = ANY ({each})"
        end = getattr(fits, RANGES[column][beyond == "<"]) if search.start is not None else None
        self._shape = Shape(
            column=column,
            beyond=beyond,
            conditions=(*self.conditions.items(),),
            field=field,
            each=each,
            sku=sku,
            start=", ".join([_add(self._values, value) for value in search.start or ()]),
            cut=search.start is not None
            and end is not None
            and not (search.start[0] < end if beyond == "<" else search.start[0] > end),
            offset=f" + {_add(self._values, offset)}::bigint" if offset else "",
            limit=search.limit,
            shown="DESC" if search.backwards else "ASC",
            troubles=search.troubles,
        )
        self.is_of_sku = bool(sku)
        self.is_one_index = not self._shape.rest
        self.has_buckets = column == "created_at" and bool(TOTALS & self.conditions.keys()) and listed in {*NAMES, None}
        self.is_of_totals = self.has_buckets and self.conditions.keys() <= TOTALS | {*RANGES[column]}

    @property
    def where(self) -> str:
        return self._shape.where

    @property
    def probed(self) -> frozenset[str]:
        """The fields whose values may have few orders; none where one index has exactly the list that is asked for."""
        if self.is_one_index and not self.is_of_sku:
            return frozenset()
        field = next((field for field in PROBED if field in self.conditions), None)
        if field is not None:
            return frozenset({field})
        return TOTALS if self.conditions.keys() >= TOTALS else frozenset()

    @property
    def is_narrow(self) -> bool:
        """Whether a few buckets of totals have exactly the list that is asked for."""
        least, largest = self.fits.min_total, self.fits.max_total
        return self.is_of_totals and least is not None and largest is not None and largest <= NARROW * least

    @property
    def _is_wide(self) -> bool:
        least, largest = self.fits.min_total, self.fits.max_total
        return least is None or largest is None or largest > WIDE * least

    def ways(self, *, far: bool) -> Sequence[Way]:
        """The walks to try, the one that most often is the shortest first. `far`: many orders fit."""
        walk: Way = "far" if far else "long"
        if not self.has_buckets:
            return (walk,)
        if self.is_narrow:
            return ("buckets", walk)
        if self._is_wide:  # it has hundreds of buckets, each of which is looked into
            return (walk, "buckets") if self.is_of_totals else (walk,)
        return ("short", "buckets", walk) if self.is_of_totals else (walk, "buckets")

    @property
    def changes_by_itself(self) -> bool:
        """Whether other orders may fit without a change of any order."""
        return bool(self.fits.saga) or (self.fits.q is not None and as_id(self.fits.q) is not None)

    def again(self) -> PageStatements:
        """The same statements, for another read of the page."""
        same = copy(self)
        same._values = [*self._values]  # noqa: SLF001 - it is one of us
        return same

    def walk(self, way: Way, total: str = "NULL", seen: str = "NULL") -> Statement:
        """`missing` is what it may not have found: true, or the values of `field` of which it may lack orders."""
        if way == "buckets":
            text = order_page_sql.walk_in_buckets(self._shape, LONGEST[way], total, seen, narrow=self.is_narrow)
        else:
            text = order_page_sql.walk(self._shape, LONGEST[way], total, seen)
        return Statement(text, self._values)

    def probe(self) -> Statement:
        """`missing` is true if there are too many orders to read them all; else `total` is how many fit."""
        values, probed = [*self._values], self.probed
        if probed == TOTALS:
            most, found = MOST_IN_RANGE, [together([self.conditions[field] for field in sorted(TOTALS)])]
        else:
            [field] = probed
            most = MOST_PROBED
            found = found_by_index(field, self.fits, self.conditions, lambda value: _add(values, value))
        return Statement(order_page_sql.probe(self._shape, most, probed - {"q"}, tuple(found)), values)

    def look_up(
        self, total: str = "NULL", seen: str = "NULL", *, walk_on: bool, missing: Sequence[str] | None = None
    ) -> Statement:
        """With `missing`, the orders with these values of `field` are looked up, and those of the others walked.

        `walk_on`: rather walk along the index until the page is full than sort all that fit.
        """
        values = [*self._values]
        looked_up = f"{_add(values, missing)}::text[]" if missing is not None else ""
        return Statement(
            order_page_sql.look_up(self._shape, LONGEST["long"], total, seen, looked_up, walk_on=walk_on), values
        )

    def unless_seen(self, seen: str | None, total: str) -> str:
        """SQL for the total, which is read only if SEEN is not `seen`; every later statement of the page has it."""
        return f"CASE WHEN {SEEN} IS DISTINCT FROM {_add(self._values, seen)}::text THEN {total} END"

    def count(self, row: Record) -> int:
        """The `total` of a row, which is left out where the page is all that there is."""
        return row["found"] if row["total"] is None else row["total"]

    def page(self, row: Record) -> DocumentPage:
        """The page that the row of a statement has."""
        backwards = self._search.backwards
        json = b"[" + (row["documents"] or "").encode() + b"]"
        if row["troubles"] is not None:
            json = with_troubles(json, row["troubles"], backwards=backwards)
        ends = [(row["first_value"], row["first_id"]), (row["last_value"], row["last_id"])]
        first, last = (end if end[1] is not None else None for end in (reversed(ends) if backwards else ends))
        return DocumentPage(
            json=json,
            size=min(row["found"], self._search.limit),
            first=first,
            last=last,
            more=row["found"] > self._search.limit,
        )


def _add(values: list[Any], value: Any) -> str:
    """The name of a new parameter with this value."""
    values.append(value)
    return f"${len(values)}"
