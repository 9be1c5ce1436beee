"""Tables of read models, derived from what a fold declares: the columns and their types, how rows are saved and read.

A column is named once, as a field of the fold's view, key or amounts.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import EnumType
from operator import attrgetter
from typing import Any, Protocol, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from core import codec
from core.projections.projection import Projection, Sum

SQL_TYPES: Mapping[type, str] = {
    str: "text",
    int: "bigint",
    Decimal: "numeric",
    datetime: "timestamptz",
    date: "date",
    UUID: "uuid",
}
JSON = "json"
"""Of a field that holds more than one value."""

Columns = list[list[Any]]


class Table(Protocol):
    """`columns` gives their SQL types by name, in order. `source` is the rows to save, with {} for each parameter.

    `values` are the columns that `source` does not give under their own names. `merged` says what stays of a column
    when the row is there already; without an entry the new value replaces the old.
    """

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> Sequence[str]: ...
    @property
    def columns(self) -> Mapping[str, str]: ...
    @property
    def source(self) -> str: ...
    @property
    def values(self) -> Mapping[str, str]: ...
    @property
    def merged(self) -> Mapping[str, str]: ...
    def parameters(self, rows: Any) -> Columns:
        """The rows as the arrays that `source` takes, in the order of the key."""
        ...


def upsert(table: Table, first: int) -> str:
    """Save the rows that the parameters from $first on give, if the row `moved` is there."""
    parameters = (f"${number}" for number in range(first, first + table.source.count("{}")))
    values = (table.values.get(column, f"new.{column}") for column in table.columns)
    merged = (
        f"{column} = {table.merged.get(column, f'excluded.{column}')}"
        for column in table.columns
        if column not in table.key
    )
    return f"""
    INSERT INTO {table.name} AS kept ({", ".join(table.columns)})
    SELECT {", ".join(values)}
      FROM moved CROSS JOIN {table.source.format(*parameters)}
        ON CONFLICT ({", ".join(table.key)}) DO UPDATE SET {", ".join(merged)}"""


def select(table: Table) -> str:
    """All rows, as a query that a condition can be added to."""
    return f"SELECT {', '.join(table.columns)} FROM {table.name}"


def select_under(table: Table) -> str:
    """The rows under a value of the key's first column: the other columns, in the order of the rest of the key."""
    first, *rest = table.key
    others = ", ".join(column for column in table.columns if column != first)
    return f"SELECT {others} FROM {table.name} WHERE {first} = $1 ORDER BY {', '.join(rest) or first}"


class SumTable:
    """The table of a sum: numbers are added to, of a time the latest is kept."""

    values: Mapping[str, str] = {}

    def __init__(self, one: Sum[Any, Any, Any]) -> None:
        amounts = sql_types(one.amounts)
        self.name = one.name
        self.key = tuple(sql_types(one.key))
        self.columns = sql_types(one.key) | amounts
        self.source = _arrays(self.columns)
        self.merged = {
            column: f"greatest(kept.{column}, excluded.{column})"
            if type_ == "timestamptz"
            else f"kept.{column} + excluded.{column}"
            for column, type_ in amounts.items()
        }

    def parameters(self, rows: Mapping[tuple[Any, ...], tuple[Any, ...]]) -> Columns:
        return _by_column([(*key, *rows[key]) for key in sorted(rows)], len(self.columns))


class ViewTable:
    """The table of a projection with a column for each field of its view.

    `of_streams` is the condition that finds the rows of some streams: of the ids in $1.
    """

    values: Mapping[str, str] = {}
    merged: Mapping[str, str] = {}

    def __init__(self, projection: Projection[Any], *, of_streams: str) -> None:
        self.name = projection.name
        self.key = (projection.key,)
        self.columns = sql_types(projection.view)
        self.source = _arrays(self.columns)
        self.of_streams = of_streams
        self._view = projection.view

    def parameters(self, rows: Sequence[Any]) -> Columns:
        ordered = sorted(rows, key=attrgetter(*self.key))
        return _by_column([msgspec.structs.astuple(view) for view in ordered], len(self.columns))

    def view(self, row: Any) -> Any:
        return self._view(**row)


class DocumentTable:
    """The table of a projection that keeps each view whole, as the JSON that is sent to clients.

    `fields` are those that are columns as well, to filter and sort by; `derived` are columns that are computed from
    the document: by name, their type and the expression, in which `new` is the document as a record.
    """

    merged: Mapping[str, str] = {}

    def __init__(
        self,
        projection: Projection[Any],
        *,
        of_streams: str,
        fields: Sequence[str],
        derived: Mapping[str, tuple[str, str]],
    ) -> None:
        known = sql_types(projection.view)
        self.name = projection.name
        self.key = (projection.key,)
        self.fields = {field: known[field] for field in fields}
        self.columns = {
            **self.fields,
            **{name: type_ for name, (type_, _) in derived.items()},
            "document": "text",
        }
        used = {field for field in known if any(f"new.{field}" in expression for _, expression in derived.values())}
        record = ", ".join(f"{field} {type_}" for field, type_ in known.items() if field in used | set(fields))
        self.source = f"unnest({{}}::text[]) AS document CROSS JOIN json_to_record(document::json) AS new({record})"
        self.values = {name: expression for name, (_, expression) in derived.items()} | {"document": "document"}
        self.of_streams = of_streams
        self._decode = msgspec.json.Decoder(projection.view).decode

    def parameters(self, rows: Sequence[Any]) -> Columns:
        return [[codec.json(view).decode() for view in sorted(rows, key=attrgetter(*self.key))]]

    def view(self, row: Any) -> Any:
        return self._decode(row["document"])

    def agrees(self, row: Any) -> bool:
        """Whether the columns say what the document says."""
        view = self.view(row)
        return all(getattr(view, field) == row[field] for field in self.fields)


def sql_types(row: type[Any]) -> dict[str, str]:
    """The SQL type of each field of a struct or named tuple, in their order."""
    return {name: _sql_type(hint) for name, hint in get_type_hints(row).items()}


def _sql_type(hint: Any) -> str:
    hint = getattr(hint, "__supertype__", hint)  # of a NewType
    if get_origin(hint) is types.UnionType:  # a value, or none
        [hint] = [one for one in get_args(hint) if one is not types.NoneType]
    return "text" if isinstance(hint, EnumType) else SQL_TYPES.get(hint, JSON)


def _arrays(columns: Mapping[str, str]) -> str:
    return f"unnest({', '.join(f'{{}}::{type_}[]' for type_ in columns.values())}) AS new({', '.join(columns)})"


def _by_column(rows: Sequence[tuple[Any, ...]], width: int) -> Columns:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
