"""The text of the one statement that reads a page of orders, its ends, its troubles and its total; see Shape."""

from __future__ import annotations

from functools import lru_cache

from core.adapters.postgres.read_models.order_conditions import together
from core.adapters.postgres.read_models.order_shape import (
    BUCKET,
    LINES,
    RANGES,
    SORTED_INDEXES,
    UNSORTED,
    Shape,
    along_index,
)
from core.adapters.postgres.read_models.order_troubles import TROUBLES

MOST_TEXTS = 500  # texts of statements that are kept

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
# The orders of each bucket that the range of totals touches, merged.
IN_BUCKETS = """buckets AS MATERIALIZED (
    SELECT value, greatest({longest} / (1 + last - first), {most} + 1) AS longest
      FROM (SELECT bucket_of_total({least}) AS first, bucket_of_total({largest}) AS last) AS ends
     CROSS JOIN generate_series(first, last) AS of(value)
), walked AS MATERIALIZED (
    SELECT value, list.* FROM buckets
     CROSS JOIN LATERAL (
        SELECT place, order_id
          FROM (SELECT {column} AS place, order_id, ({fits}) AS fits
                  FROM order_views WHERE {along} ORDER BY {order} LIMIT longest) AS bucket
         WHERE fits LIMIT {most}) AS list
), listed AS ({listed})"""
# A bucket may have more where its walk has ended, which are of this page if they come before the end of it.
ENDED = """(SELECT count(*) FROM walked) < {most} * (SELECT count(*) FROM buckets) AND EXISTS (
        SELECT FROM buckets
         CROSS JOIN LATERAL (SELECT {column} AS place, order_id FROM order_views
                              WHERE {along} ORDER BY {order} OFFSET longest - 1 LIMIT 1) AS ended
         WHERE value NOT IN (SELECT value FROM walked GROUP BY value HAVING count(*) = {most})
           AND NOT EXISTS (SELECT FROM (SELECT place, order_id FROM found ORDER BY n OFFSET {limit} LIMIT 1) AS page_end
                            WHERE (page_end.place, page_end.order_id) {upto} (ended.place, ended.order_id)))"""
MISSING = """(SELECT array_agg(value) FROM unnest({values}) AS of(value)
         WHERE (SELECT count(*) FROM listed WHERE listed.value = of.value) < {most})"""
PROBE = """ids AS MATERIALIZED ({ids}), probed AS MATERIALIZED (SELECT place, order_id FROM ids WHERE fits),
listed AS ({listed})"""
IDS = """(SELECT order_id, {column} AS place, ({fits}) AS fits FROM order_views WHERE {found} LIMIT {most} + 1)"""
# Documents are read of the page's orders only: to sort them with all that fit took longer than to find these.
WITH_DOCUMENTS = """SELECT first.place, first.order_id, v.document
      FROM (SELECT place, order_id FROM {of} ORDER BY place {way}, order_id {way} LIMIT {most}) AS first
      JOIN order_views v ON v.order_id = first.order_id"""


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
    along, rest = along_index(shape, None), together(shape.rest)
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


@lru_cache(MOST_TEXTS)
def walk_in_buckets(shape: Shape, longest: int, total: str, seen: str, *, narrow: bool) -> str:
    """`longest`: how many rows are walked past in all buckets together, but in each bucket at least a page."""
    conditions = dict(shape.conditions)
    least, largest = (
        f"{conditions[name].split(' ')[2]}::numeric" if name in conditions else "NULL"
        for name in RANGES["total_amount"]
    )
    if not narrow:  # else there are buckets without end that have no orders
        least = f"greatest({least}, (SELECT min(total_amount) FROM order_views))"
        largest = f"least({largest}, (SELECT max(total_amount) FROM order_views))"
    parts = {
        "column": shape.column,
        "along": together(along_index(shape, BUCKET)),
        "order": f"{BUCKET} {shape.way}, {shape.column} {shape.way}, order_id {shape.way}",
        "most": shape.most,
    }
    listed = IN_BUCKETS.format(
        **parts,
        least=least,
        largest=largest,
        fits=together([text for name, text in shape.conditions if name not in RANGES[shape.column]]),
        longest=longest,
        listed=WITH_DOCUMENTS.format(of="walked", way=shape.way, most=shape.most),
    )
    missing = ENDED.format(**parts, limit=shape.limit, upto=">=" if shape.way == "DESC" else "<=")
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
        along=together(along_index(shape, SORTED_INDEXES.get(shape.field or ""))),
        order=order if shape.field is None else f"{SORTED_INDEXES[shape.field]} {shape.way}, {order}",
        longest=f"greatest({longest}, {shape.most})" if shape.rest else shape.most,
        rest=together(shape.rest),
        most=shape.most,
    )
    return LISTS.format(values=values or shape.each, list=one) if shape.field else one
