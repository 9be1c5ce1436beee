"""Shape: what the texts of the statements that read a page of orders are made of, and along which index they walk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from core.adapters.postgres.read_models.order_conditions import together

SORTED_INDEXES = {"customer_id": "customer_id", "payment": "payment_status", "status": "status"}
"""The fields, and their columns, with an index that has the orders of one value by `created_at`."""

RANGES = {
    "created_at": ("created_from", "created_to"),
    "updated_at": ("updated_from", "updated_to"),
    "total_amount": ("min_total", "max_total"),
}
"""The fields that cut a part out of the list that is sorted by a column."""

LINES = 4
"""The first lines of an order, each with an index that has the orders with a SKU first in this line by `created_at`.

Orders with more lines are in an index of their own, by `created_at` too.
"""

BUCKET = "bucket_of_total(total_amount)"
"""What an index has that keeps the orders of each bucket of totals by `created_at`."""

UNSORTED = {
    "created_at": "created_at + interval '0'",
    "updated_at": "updated_at + interval '0'",
    "total_amount": "total_amount + 0",
}
"""What is as large as the column, and in no index."""


class _Bound(NamedTuple):
    """A condition on columns that sort one after the other, such as (created_at, order_id) < ($1, $2)."""

    columns: str
    operator: str
    values: str

    def __str__(self) -> str:
        return f"({self.columns}) {self.operator} ({self.values})"


class Shape(NamedTuple):
    """What the texts of a page's statements are made of; pages that differ in their values only have the same.

    `beyond` is how an order compares with the place where the page begins, `start` the parameters of that place, and
    `each` that of the values of `field`, which have a list each. `sku` is the parameter of the SKU whose list is read.
    `cut`: the range of the filter cuts off that place. `rest` are the conditions that the walk's index does not have.
    """

    column: str
    beyond: str
    conditions: tuple[tuple[str, str], ...]
    field: str | None
    each: str
    sku: str
    start: str
    cut: bool
    offset: str
    limit: int
    shown: str
    troubles: bool

    @property
    def way(self) -> str:
        return "DESC" if self.beyond == "<" else "ASC"

    @property
    def most(self) -> str:
        return f"({self.limit + 1}{self.offset})"

    @property
    def where(self) -> str:
        return together([text for _, text in self.conditions])

    @property
    def rest(self) -> Sequence[str]:
        ranges = RANGES[self.column]
        listed = "sku" if self.sku else self.field
        return [text for name, text in self.conditions if name not in ranges and name != listed]

    def place(self, column: str) -> str:
        """The condition for the orders that come after the place where the page begins."""
        return f"({column}, order_id) {self.beyond} ({self.start})" if self.start else "true"


def along_index(shape: Shape, column: str | None) -> list[str]:
    """Conditions that an index has, such that PostgreSQL begins and ends where the list does.

    With a `column` the list is that of its `value`, and the index begins with this column.

    An index is read from one bound to another. Of two lower ones PostgreSQL may take the wider, and read all rows
    between them; so it is shown only the narrower of the page's beginning and the range's, and the other as a condition
    that no index has. And the rows of one value are read from their first on, unless the bound names the value beside
    the time.
    """
    along, bounds, conditions = list[str](), dict[str, _Bound](), dict(shape.conditions)
    for operator, name in zip("><", RANGES[shape.column], strict=True):
        if name in conditions:
            bounds[operator] = _Bound(*conditions[name].split(" ", 2))
    if shape.cut:
        along.append(shape.place(UNSORTED[shape.column]))
    elif shape.start:
        if (range_ := bounds.get(shape.beyond)) is not None:
            along.append(str(range_._replace(columns=UNSORTED[shape.column])))
        bounds[shape.beyond] = _Bound(f"{shape.column}, order_id", shape.beyond, shape.start)
    if column is not None:
        for operator in "><":
            bound = bounds.get(operator)
            # With = the planner may walk along the index of the whole list, past all orders that do not fit.
            bounds[operator] = (
                _Bound(f"{column}, {bound.columns}", bound.operator, f"value, {bound.values}")
                if bound is not None
                else _Bound(column, f"{operator}=", "value")
            )
    return [*along, *map(str, bounds.values())]
