"""The text of the one statement that reads a page of orders, its ends, its troubles and its total; see Shape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from core.adapters.postgres.read_models.order_conditions import together
from core.adapters.postgres.read_models.order_troubles import TROUBLES

MOST_TEXTS = 500  # texts of statements that are kept

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

UNSORTED = {
    "created_at": "created_at + interval '0'",
    "updated_at": "updated_at + interval '0'",
    "total_amount": "total_amount + 0",
}
"""What is as large as the column, and in no index."""

PAGE = """
WITH {listed}, found AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY place {way}, order_id {way}) AS n, place, order_id, document
      FROM listed ORDER BY n LIMIT {most} OFFSET {offset}
), page AS MATERIALIZED (
    SELECT * FROM found ORDER BY n LIMIT {limit}
)
SELECT (SELECT count(*) FROM found) AS found, string_agg(document, ',' ORDER BY n {shown}) AS documents,
       (array_agg(place ORDER BY n))[1] AS first_value, (array_agg(order_id ORDER BY n))[1] AS first_id,
       (array_agg(place ORDER BY n))[count(*)] AS last_value, (array_agg(order_id ORDER BY n))[count(*)] AS last_id,
       {troubles} AS troubles, {missing} AS missing, {total} AS total, {seen} AS seen
  FROM page"""
LIST = """SELECT {column} AS place, order_id, document
      FROM (SELECT * FROM order_views WHERE {along} ORDER BY {order} LIMIT {longest}) AS walked
     WHERE {rest} ORDER BY {order} LIMIT {most}"""
LISTS = """SELECT value, list.* FROM unnest({values}) AS of(value)
      CROSS JOIN LATERAL ({list}) AS list"""
# Orders with the SKU in one of the first lines, merged, and those with it in a later line, as far as these reach.
LIST_OF_SKU = """lines AS MATERIALIZED (
    SELECT place, order_id, document
      FROM (SELECT * FROM ({lines}) AS merged ORDER BY place {way}, order_id {way} LIMIT {longest}) AS walked
     WHERE {rest} ORDER BY place {way}, order_id {way} LIMIT {most}
), long AS MATERIALIZED (
    SELECT {column} AS place, order_id, document, ({fits}) AS fits FROM order_views
     WHERE skus[{long}] IS NOT NULL AND {along}
       AND {column} {upto} coalesce((SELECT place FROM lines ORDER BY place {way} OFFSET {most} - 1), '{end}')
     ORDER BY {order} LIMIT {longest}
), listed AS (
    SELECT * FROM lines UNION ALL SELECT place, order_id, document FROM long WHERE fits
)"""
LINE = """(SELECT {column} AS place, {columns} FROM order_views WHERE {along} ORDER BY {order})"""
MISSING = """(SELECT array_agg(value) FROM unnest({values}) AS of(value)
         WHERE (SELECT count(*) FROM listed WHERE listed.value = of.value) < {most})"""
PROBE = """ids AS MATERIALIZED ({ids}), probed AS MATERIALIZED (SELECT place, order_id FROM ids WHERE fits),
listed AS ({listed})"""
IDS = """(SELECT order_id, {column} AS place, ({fits}) AS fits FROM order_views WHERE {found} LIMIT {most} + 1)"""
# Documents are read of the page's orders only: to sort them with all that fit took longer than to find these.
WITH_DOCUMENTS = """SELECT first.place, first.order_id, v.document
      FROM (SELECT place, order_id FROM {of} ORDER BY place {way}, order_id {way} LIMIT {most}) AS first
      JOIN order_views v ON v.order_id = first.order_id"""


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
        return f"{self.limit + 1}{self.offset}"

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


@lru_cache(MOST_TEXTS)
def walk(shape: Shape, longest: int, total: str, seen: str) -> str:
    """`longest`: how many rows are walked past at most."""
    if shape.sku:
        return _walk_of_sku(shape, longest, total, seen)
    missing = "NULL"
    if shape.rest and shape.field is None:
        missing = f"(SELECT count(*) < {shape.most} FROM listed)"
    elif shape.rest:
        missing = MISSING.format(values=shape.each, most=shape.most)
    return _page(shape, f"listed AS MATERIALIZED ({_lists(shape, longest)})", missing, total, seen)


def _walk_of_sku(shape: Shape, longest: int, total: str, seen: str) -> str:
    most, way, order = (
        f"greatest({longest}, {shape.most})",
        shape.way,
        f"{shape.column} {shape.way}, order_id {shape.way}",
    )
    along, rest = _along(shape), together(shape.rest)
    lines = [
        LINE.format(
            column=shape.column,
            columns="*" if shape.rest else "order_id, document",
            along=together([f"skus[{line}] = {shape.sku}", *_not_before(f"skus[{line}]", line), *along]),
            order=order,
        )
        for line in range(1, LINES + 1)
    ]
    later = [f"{shape.sku} = ANY (skus[{LINES + 1}:])", *_not_before(shape.sku, LINES + 1)]
    listed = LIST_OF_SKU.format(
        lines=" UNION ALL ".join(lines),
        way=way,
        order=order,
        column=shape.column,
        along=together(along),
        rest=rest,
        fits=together([*later, rest]),
        long=LINES + 1,
        longest=most,
        most=shape.most,
        upto=">=" if way == "DESC" else "<=",
        end="-infinity" if way == "DESC" else "infinity",
    )
    missing = f"((SELECT count(*) FROM long) >= {most}"
    missing += f" OR (SELECT count(*) FROM lines) < {shape.most})" if shape.rest else ")"
    return _page(shape, listed, missing, total, seen)


def _not_before(sku: str, line: int) -> list[str]:
    """The condition that no line before this one has the SKU, so that the order is listed once.

    Of the SKU of one of the first lines it is the condition of the line's index.
    """
    return [f"{sku} <> ALL (skus[:{line - 1}])"] if line > 1 else []


@lru_cache(MOST_TEXTS)
def probe(shape: Shape, most: int, done: frozenset[str], found: tuple[str, ...]) -> str:
    """`done` are the fields whose conditions are among `found` as they are, so that nothing is compared twice."""
    fits = together([text for name, text in shape.conditions if name not in done])
    ids = " UNION ".join(IDS.format(column=shape.column, fits=fits, found=one, most=most) for one in found)
    listed = WITH_DOCUMENTS.format(of=f"probed WHERE {shape.place('place')}", way=shape.way, most=shape.most)
    missing = f"(SELECT count(*) > {most} FROM ids)"
    return _page(shape, PROBE.format(ids=ids, listed=listed), missing, "(SELECT count(*) FROM probed)", "NULL")


@lru_cache(MOST_TEXTS)
def look_up(shape: Shape, longest: int, total: str, seen: str, missing: str, *, walk_on: bool) -> str:
    column, walked = shape.column, ""
    conditions = [shape.where, shape.place(column)]
    if missing and shape.field is not None:
        conditions.append(f"{SORTED_INDEXES[shape.field]} = ANY ({missing})")
        others = f"ARRAY (SELECT unnest({shape.each}) EXCEPT SELECT unnest({missing}))"
        walked = f"(SELECT place, order_id, document FROM ({_lists(shape, longest, others)}) AS lists) UNION ALL "
    order = f"{column if walk_on else UNSORTED[column]} {shape.way}, order_id {shape.way}"
    listed = f"""listed AS ({walked}(
    SELECT {column} AS place, order_id, document FROM order_views
     WHERE {together(conditions)} ORDER BY {order} LIMIT {shape.most}))"""
    return _page(shape, listed, "NULL", total, seen)


def _page(shape: Shape, listed: str, missing: str, total: str, seen: str) -> str:
    if not shape.start and not shape.offset and total != "NULL":
        total = f"CASE WHEN (SELECT count(*) FROM found) > {shape.limit} THEN {total} END"
    return PAGE.format(
        listed=listed,
        way=shape.way,
        shown=shape.shown,
        most=shape.limit + 1,
        limit=shape.limit,
        offset=f"0{shape.offset}",
        troubles=TROUBLES if shape.troubles else "NULL",
        missing=missing,
        total=total,
        seen=seen,
    )


def _lists(shape: Shape, longest: int, values: str = "") -> str:
    """The list that is walked along, or one for each of these values of `field`, or for all of them."""
    order = f"{shape.column} {shape.way}, order_id {shape.way}"
    one = LIST.format(
        column=shape.column,
        along=together(_along(shape)),
        order=order if shape.field is None else f"{SORTED_INDEXES[shape.field]} {shape.way}, {order}",
        longest=f"greatest({longest}, {shape.most})" if shape.rest else shape.most,
        rest=together(shape.rest),
        most=shape.most,
    )
    return LISTS.format(values=values or shape.each, list=one) if shape.field else one


def _along(shape: Shape) -> list[str]:
    """Conditions that an index has, such that PostgreSQL begins and ends where the list does.

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
    if shape.field is not None:
        column = SORTED_INDEXES[shape.field]
        for operator in "><":
            bound = bounds.get(operator)
            # With = the planner may walk along the index of the whole list, past all orders that do not fit.
            bounds[operator] = (
                _Bound(f"{column}, {bound.columns}", bound.operator, f"value, {bound.values}")
                if bound is not None
                else _Bound(column, f"{operator}=", "value")
            )
    return [*along, *map(str, bounds.values())]
