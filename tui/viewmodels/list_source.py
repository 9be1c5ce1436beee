"""ListSource: where a list comes from: what the server is asked, and what can be told of its rows without asking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from tui.viewmodels.rows import RowPage

Row = TypeVar("Row")


class ListPage(NamedTuple, Generic[Row]):
    """One page, and how many rows the whole list has, if the server says so."""

    rows: RowPage[Row]
    total: int | None = None
    estimated: bool = False


class ListSource(Protocol[Row]):
    """One list of the server: which rows belong to it and how they are sorted does not change."""

    @property
    def filtered(self) -> bool:
        """Whether there are rows that do not belong to it."""
        ...

    async def page(self, cursor: str | None, *, from_end: bool) -> ListPage[Row]:
        """The first page from the top or from the end, or the one to which a cursor of the same end leads."""
        ...

    async def among(self, keys: Sequence[str]) -> Sequence[Row]:
        """Those of these rows that belong to the list; at most PAGE keys at a time."""
        ...

    async def count(self) -> ListPage[Row]:
        """How many rows belong to it now."""
        ...

    def key(self, row: Row) -> str: ...

    def above(self, row: Row, other: Row) -> bool:
        """Whether a row stands above another one in the list."""
        ...
