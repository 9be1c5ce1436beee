"""Tables of read models: their columns, and the SQL that saves and reads rows, made from what a projection declares.

So a column is named only once: as a field of a view, of a key or of amounts.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import EnumType
from operator import attrgetter
from typing import Any, Protocol, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from core import codec
from core.adapters.postgres.read_models.written import (
    array,
    copied_arrays,
    copied_documents,
    copied_rows,
    copied_texts,
)
from core.domain.money import exact
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
"""The SQL type of a field that holds more than one value."""

Parameters = list[Any]


class Table(Protocol):
    """A table of a read model. `columns` are the SQL types of its columns by name, in order.

    `source` is the FROM item with the rows to save, with {} for each parameter. `values` has the SQL expression of each
    column that `source` does not have under the same name. `merged` has the SQL expression for the new value of a
    column when the row exists already; for other columns the new value replaces the old one.
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
    def parameters(self, rows: Any) -> Parameters:
        """A value for each parameter of `source`, with the rows sorted by the key."""
        ...

    def copied(self, rows: Any) -> bytes:
        """The rows, of which there is at least one, as COPY reads them."""
        ...


def insert(table: Table, first: int) -> str:
    """SQL that adds the rows in the parameters from $first on, if `moved` has a row."""
    parameters = (f"${number}" for number in range(first, first + table.source.count("{}")))
    values = (table.values.get(column, f"new.{column}") for column in table.columns)
    return f"""
    INSERT INTO {table.name} AS kept ({", ".join(table.columns)})
    SELECT {", ".join(values)}
      FROM moved CROSS JOIN {table.source.format(*parameters)}"""


def upsert(table: Table, first: int) -> str:
    """SQL that saves the rows in the parameters from $first on, if `moved` has a row."""
    merged = (
        f"{column} = {table.merged.get(column, f'excluded.{column}')}"
        for column in table.columns
        if column not in table.key
    )
    return f"""{insert(table, first)}
        ON CONFLICT ({", ".join(table.key)}) DO UPDATE SET {", ".join(merged)}"""


def select(table: Table) -> str:
    """SQL that reads all rows. A WHERE can be added to it."""
    return f"SELECT {', '.join(table.columns)} FROM {table.name}"


def select_under(table: Table) -> str:
    """SQL that reads the rows with one value of the first key column: their other columns, sorted by the other keys."""
    first, *rest = table.key
    others = ", ".join(column for column in table.columns if column != first)
    return f"SELECT {others} FROM {table.name} WHERE {first} = $1 ORDER BY {', '.join(rest) or first}"


def read_sum(row: Any) -> dict[str, Any]:
    """A row of a sum. PostgreSQL gives 50000 JPY as 5E+4 and no USD as 0, so amounts get their currency's decimals."""
    return {name: exact(value, row["currency"]) if isinstance(value, Decimal) else value for name, value in row.items()}


class SumTable:
    """The table of a sum. A saved number is added to the old one; of two times, the later one is stored."""

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

    def parameters(self, rows: Mapping[tuple[Any, ...], tuple[Any, ...]]) -> Parameters:
        return _by_column([(*key, *rows[key]) for key in sorted(rows)], len(self.columns))

    def copied(self, rows: Mapping[tuple[Any, ...], tuple[Any, ...]]) -> bytes:
        return copied_texts([(*key, *amounts) for key, amounts in rows.items()])


class ViewTable:
    """The table of a projection, with a column for each field of the view.

    `of_streams` is the condition that selects the rows of the streams whose ids are in $1.
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

    def parameters(self, rows: Sequence[Any]) -> Parameters:
        ordered = sorted(rows, key=attrgetter(*self.key))
        return _by_column([msgspec.structs.astuple(view) for view in ordered], len(self.columns))

    def copied(self, rows: Sequence[Any]) -> bytes:
        return copied_texts([msgspec.structs.astuple(view) for view in rows])

    def view(self, row: Any) -> Any:
        return self._view(**row)


class DocumentTable:
    """The table of a projection that stores each view as the JSON document that is sent to clients.

    `fields` are fields that are columns too, to filter and sort by them. `lists` are columns that have several texts of
    each view: it says which.
    """

    merged: Mapping[str, str] = {}

    def __init__(
        self,
        projection: Projection[Any],
        *,
        of_streams: str,
        fields: Sequence[str],
        lists: Mapping[str, Callable[[Any], Sequence[str]]],
    ) -> None:
        field_types = sql_types(projection.view)
        self.name = projection.name
        self.key = (projection.key,)
        self.fields = {field: field_types[field] for field in fields}
        self.columns = {**self.fields, **dict.fromkeys(lists, "text[]"), "document": "text"}
        # An array of arrays has to have as many values in each, so a list is passed on as a text.
        columns = {**self.fields, **dict.fromkeys(lists, "text")}
        values = [f"{{}}::text::{type_}[]" for type_ in columns.values()]
        self.source = f"unnest({', '.join([*values, '{}::text[]'])}) AS new({', '.join(self.columns)})"
        self.values = {name: f"new.{name}::text[]" for name in lists}
        self.of_streams = of_streams
        self._lists = tuple(lists.values())
        self._in_columns = attrgetter(*fields)
        self._decode = msgspec.json.Decoder(projection.view).decode

    def parameters(self, rows: Sequence[Any]) -> Parameters:
        ordered = sorted(rows, key=attrgetter(*self.key))
        fields = _by_column([self._in_columns(view) for view in ordered], len(self.fields))
        lists = [array([array(texts_of(view)) for view in ordered]) for texts_of in self._lists]
        return [*fields, *lists, [codec.json(view).decode() for view in ordered]]

    def copied(self, rows: Sequence[Any]) -> bytes:
        fields = copied_texts([*map(self._in_columns, rows)]).splitlines()
        lists = [copied_arrays([texts_of(view) for view in rows]) for texts_of in self._lists]
        return copied_rows([fields, *lists, copied_documents(rows)])

    def view(self, row: Any) -> Any:
        return self._decode(row["document"])

    def agrees(self, row: Any) -> bool:
        """Whether the columns of the row have the same values as its document."""
        view = self.view(row)
        return all(getattr(view, field) == row[field] for field in self.fields)


def sql_types(row: type[Any]) -> dict[str, str]:
    """The SQL type of each field of a struct or named tuple, in their order."""
    return {name: _sql_type(hint) for name, hint in get_type_hints(row).items()}


def _sql_type(hint: Any) -> str:
    hint = getattr(hint, "__supertype__", hint)  # the type under a NewType
    if get_origin(hint) is types.UnionType:  # such as `str | None`
        [hint] = [one for one in get_args(hint) if one is not types.NoneType]
    return "text" if isinstance(hint, EnumType) else SQL_TYPES.get(hint, JSON)


def _arrays(columns: Mapping[str, str]) -> str:
    return f"unnest({', '.join(f'{{}}::text::{type_}[]' for type_ in columns.values())}) AS new({', '.join(columns)})"


def _by_column(rows: Sequence[tuple[Any, ...]], width: int) -> Parameters:
    return [array(column) for column in zip(*rows, strict=True)] or ["{}"] * width
