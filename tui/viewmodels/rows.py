"""RowWindow: the rows of a long list that are held: a part without gaps, to which pages are added at either end."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

Row = TypeVar("Row")


class RowPage(NamedTuple, Generic[Row]):
    """Rows in the order of the list, and the cursors of the pages before and after it; None where there is none."""

    rows: Sequence[Row]
    older: str | None = None
    newer: str | None = None


class _Extent(NamedTuple):
    size: int
    older: str | None
    newer: str | None


class RowWindow(Generic[Row]):
    """Rank 0 is the first row of the list as it was read; newer rows get ranks below 0. The first row held is `start`.

    When more than `max_pages` are held, the page at the other end is dropped, to be fetched again when it is needed.
    """

    def __init__(self, key: Callable[[Row], str], max_pages: int = 20) -> None:
        self.key = key
        self.max_pages = max_pages
        self.start = 0
        self._rows: list[Row] = []
        self._ranks: dict[str, int] = {}
        self._pages: deque[_Extent] = deque()

    @property
    def end(self) -> int:
        return self.start + len(self._rows)

    @property
    def older(self) -> str | None:
        return self._pages[-1].older if self._pages else None

    @property
    def newer(self) -> str | None:
        return self._pages[0].newer if self._pages else None

    def reset(self, page: RowPage[Row], start: int = 0) -> None:
        self._pages = deque([_Extent(len(page.rows), page.older, page.newer)])
        self._rows = list(page.rows)
        self.start = start
        self._index()

    def append(self, page: RowPage[Row]) -> None:
        """Add older rows; those that are held already, since the list has moved meanwhile, are left out."""
        rows = self._fresh(page)
        self._rows += rows
        self._pages.append(_Extent(len(rows), page.older, page.newer))
        while len(self._pages) > self.max_pages:
            gone = self._pages.popleft().size
            del self._rows[:gone]
            self.start += gone
        self._index()

    def prepend(self, page: RowPage[Row]) -> None:
        """Add newer rows, at ranks below `start`."""
        rows = self._fresh(page)
        self._rows[:0] = rows
        self.start -= len(rows)
        self._pages.appendleft(_Extent(len(rows), page.older, page.newer))
        while len(self._pages) > self.max_pages:
            del self._rows[len(self._rows) - self._pages.pop().size :]
        self._index()

    def rebase(self) -> int:
        """Make the first held row rank 0; returns by how much every rank fell."""
        fell, self.start = self.start, 0
        self._index()
        return fell

    def get(self, rank: int) -> Row | None:
        return self._rows[rank - self.start] if self.start <= rank < self.end else None

    def rank(self, key: str) -> int | None:
        return self._ranks.get(key)

    def find(self, key: str) -> Row | None:
        rank = self._ranks.get(key)
        return None if rank is None else self.get(rank)

    def replace(self, row: Row) -> bool:
        """Put a newer state of a row in its place; False when it is not held."""
        rank = self._ranks.get(self.key(row))
        if rank is None:
            return False
        self._rows[rank - self.start] = row
        return True

    def place(self, row: Row, above: Callable[[Row, Row], bool]) -> int:
        """The rank of the first held row that does not stand above this one; `above` says which of two does."""
        return self.start + bisect_left(self._rows, 1, key=lambda other: int(not above(other, row)))

    def insert(self, row: Row, at: int, *, keeping: int) -> None:
        """Put a row that is not held before the one with rank `at`; the row with rank `keeping` keeps its rank."""
        self._rows.insert(at - self.start, row)
        if at <= keeping:
            self.start -= 1
        self._resize(at, 1)

    def remove(self, key: str, *, keeping: int) -> bool:
        """Take a row out; the row with rank `keeping` keeps its rank. False when it is not held."""
        rank = self._ranks.get(key)
        if rank is None:
            return False
        del self._rows[rank - self.start]
        self._resize(rank, -1)
        if rank < keeping:
            self.start += 1
        self._index()
        return True

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def _resize(self, rank: int, by: int) -> None:
        """Count a row that was put in or taken out to the page in which it stands."""
        before = 0
        for n, page in enumerate(self._pages):
            before += page.size
            if rank - self.start < before or n == len(self._pages) - 1:
                self._pages[n] = page._replace(size=max(0, page.size + by))
                break
        self._index()

    def _fresh(self, page: RowPage[Row]) -> list[Row]:
        return [row for row in page.rows if self.key(row) not in self._ranks]

    def _index(self) -> None:
        self._ranks = {self.key(row): self.start + n for n, row in enumerate(self._rows)}
