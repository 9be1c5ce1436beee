"""Rows of a query as plain mappings from a column's name to its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def plain(records: Sequence[Any]) -> list[Row]:
    return [dict(record) for record in records]
