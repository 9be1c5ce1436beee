"""Reads pages of sorted lists of orders, which are quick for every filter, in every sort, and however deep the page is.

The planner often guesses wrongly how many orders fit, and walks along a list in which none does; and to plan a page
takes longer than to read it. So a page is read in at most three tries, each by one statement. Where one value of the
filter may have few orders, these are probed for. Else, or if they are many, the first rows along an index are walked.
When too few of these fit, then few orders fit at all, or they stand elsewhere in the list: the last try looks them up
and sorts them, unless they are so many that walking on is quicker.

The number of all orders that fit is read in the same statement, unless it is known and nothing has changed since.
Callers who want the same page at the same time share what is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakValueDictionary

import asyncpg

from core.adapters.coalesce import SameReads
from core.adapters.postgres.connection import Connection
from core.adapters.postgres.lanes import Lanes, opened_with
from core.adapters.postgres.read_models import order_counts, order_statements
from core.adapters.postgres.read_models.order_conditions import conditions_of, together
from core.adapters.postgres.read_models.order_counts import SEEN, Counts, Known, bounded_count, expected, summed
from core.adapters.postgres.read_models.order_statements import PageStatements, Way
from core.adapters.postgres.read_models.read_together import ReadTogether, Statement
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import DocumentPage, OrderCount, OrderSearch

MOST_LOOKED_UP = 200_000  # orders that fit; to sort more than that takes longer than to walk on until a page is full

MANY = 8_000  # orders that fit, from which on a page is found sooner by walking far than by sorting them

SURELY_MORE = 2  # times as many as are counted; where the planner expects more, it counts in vain

WALKERS = 2  # connections

MOST_STATEMENTS = 500  # pages whose statements are kept; callers often ask for the same ones again

NOT_COUNTED = OrderCount(0, estimated=True)

# One plan for all values, of which the statements leave no choice but whether to use the index that they are made for.
WALKS = (
    "plan_cache_mode = force_generic_plan",
    "enable_seqscan = off",
    "enable_sort = off",
    "enable_incremental_sort = off",
)


class _Asked(NamedTuple):
    """A page that is asked for; all who ask for the same one may have the same answer."""

    search: OrderSearch
    counted: bool
    offset: int = 0


class OrderLists:
    """Pages of orders and their counts. On the connections of `planned`, every statement gets a plan for its values."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]], planned: Lanes, counts: Counts) -> None:
        self._walks = Lanes(lambda: opened_with(open_, *WALKS), count=WALKERS)
        self._together = ReadTogether(self._walks, at_once=WALKERS)
        self._planned = planned
        self._counts = counts
        # Whose turn it is to count the orders of a filter: the others wait for it, since they may need no count then.
        self._turns: WeakValueDictionary[OrderQuery, asyncio.Lock] = WeakValueDictionary()
        self._same = SameReads(self._page)

    def close(self) -> None:
        self._walks.close()

    async def page(self, search: OrderSearch) -> DocumentPage:
        page, _ = await self._same.get(_Asked(search, counted=False))
        return page

    async def counted_page(self, search: OrderSearch) -> tuple[DocumentPage, OrderCount]:
        return await self._same.get(_Asked(search, counted=True))

    async def newest(self, fits: OrderQuery, *, offset: int, limit: int) -> DocumentPage:
        """Use it for small offsets only, because the orders before `offset` are read as well."""
        page, _ = await self._same.get(_newest(fits, offset, limit, counted=False))
        return page

    async def counted_newest(self, fits: OrderQuery, *, offset: int, limit: int) -> tuple[DocumentPage, OrderCount]:
        return await self._same.get(_newest(fits, offset, limit, counted=True))

    async def _page(self, asked: _Asked) -> tuple[DocumentPage, OrderCount]:
        return await self._read(_statements(asked.search, asked.offset).again(), counted=asked.counted)

    async def _read(self, asked: PageStatements, *, counted: bool) -> tuple[DocumentPage, OrderCount]:
        """A page, and how many orders fit as of the same moment; NOT_COUNTED unless `counted`."""
        if asked.is_of_sku and asked.is_one_index and (answer := await self._in_list_of_sku(asked.again())) is not None:
            return answer
        if asked.probed and not self._counts.is_common(asked.fits):
            row = await self._together.row(asked.probe())
            if not row["missing"]:
                return asked.page(row), OrderCount(asked.count(row), estimated=False)
            self._counts.found_common(asked.fits)
        if not counted:
            return asked.page(await self._found(asked, None, "NULL", "NULL")), NOT_COUNTED
        if asked.is_narrow and (answer := await self._in_buckets(asked.again())) is not None:
            return answer
        if (total := summed(asked.fits, asked.conditions)) is not None:
            return await self._summed(asked, total)
        turn = self._turns.setdefault(asked.fits, asyncio.Lock())
        known = self._counts.find(asked.fits)
        tried = known if known is not None and (known.total.estimated or not turn.locked()) else None
        if tried is not None and (answer := await self._as_known(asked, tried)) is not None:
            return answer
        async with turn:
            known = self._counts.find(asked.fits)  # what the one before may have counted
            if known is not None and known is not tried and (answer := await self._as_known(asked, known)) is not None:
                return answer
            return await self._count(asked)

    async def _in_list_of_sku(self, asked: PageStatements) -> tuple[DocumentPage, OrderCount] | None:
        """A page of a SKU's orders, counted if they are as few as are probed; None if they are more, or some miss."""
        if self._counts.is_common(asked.fits) or self._counts.is_sparse(asked.fits, "long"):
            return None
        known = self._counts.find(asked.fits)
        seen = known.seen or "" if known is not None else ""
        total = asked.unless_seen(seen, bounded_count(asked.where, order_statements.MOST_PROBED))
        row = await self._together.row(asked.walk("long", total, SEEN))
        if row["missing"]:
            self._counts.found_sparse(asked.fits, "long")
            return None
        if known is not None and row["seen"] == seen:
            return asked.page(row), _told_by(asked, row) or known.total
        count = OrderCount(asked.count(row), estimated=False)
        if count.total > order_statements.MOST_PROBED:
            self._counts.found_common(asked.fits)
            return None
        self._counts.keep(asked.fits, count, row["seen"])
        return asked.page(row), count

    async def _in_buckets(self, asked: PageStatements) -> tuple[DocumentPage, OrderCount] | None:
        """A page of a narrow range of totals with its count; None if the page may lack some."""
        if self._counts.is_sparse(asked.fits, "buckets"):
            return None
        known = self._counts.find(asked.fits)
        total, seen = "NULL", known.seen if known is not None else ""
        if seen is not None:
            total = asked.unless_seen(seen, bounded_count(asked.where, order_counts.EXACT_BELOW))
        row = await self._together.row(asked.walk("buckets", total, SEEN if seen is not None else "NULL"))
        if row["missing"]:
            self._counts.found_sparse(asked.fits, "buckets")
            return None
        if known is not None and (known.total.estimated or row["seen"] == seen):
            return asked.page(row), _told_by(asked, row) or known.total
        return asked.page(row), await self._kept(asked, row)

    async def _as_known(self, asked: PageStatements, known: Known) -> tuple[DocumentPage, OrderCount] | None:
        """The page with the count that is known; None if that is an exact one, and something was saved since."""
        seen = "NULL" if known.total.estimated else SEEN
        row = await self._found(asked, known.total, "NULL", seen)
        if not known.total.estimated and row["seen"] != known.seen:
            return None
        return asked.page(row), _told_by(asked, row) or known.total

    async def _summed(self, asked: PageStatements, total: str) -> tuple[DocumentPage, OrderCount]:
        """Sums are cheap enough to be read in the page's own statement, if anything was saved since the last ones."""
        known = self._counts.find(asked.fits)
        if known is not None:
            total = asked.unless_seen(known.seen, total)
        row = await self._found(asked, known.total if known is not None else None, total, SEEN)
        if known is not None and row["seen"] == known.seen:
            return asked.page(row), _told_by(asked, row) or known.total
        count = OrderCount(asked.count(row), estimated=False)
        self._counts.keep(asked.fits, count, row["seen"])
        return asked.page(row), count

    async def _count(self, asked: PageStatements) -> tuple[DocumentPage, OrderCount]:
        guess, _ = await self._expected(asked)
        if guess > SURELY_MORE * order_counts.EXACT_BELOW:
            count = OrderCount(guess, estimated=True)
            row = await self._found(asked, count, "NULL", "NULL")
            if (told := _told_by(asked, row)) is not None:
                return asked.page(row), told
            self._counts.keep(asked.fits, count)
            return asked.page(row), count
        total = bounded_count(asked.where, order_counts.EXACT_BELOW)
        row = await self._found(asked, None, total, SEEN, counts=True)
        return asked.page(row), await self._kept(asked, row)

    async def _kept(self, asked: PageStatements, row: asyncpg.Record) -> OrderCount:
        """The count that a row has, or the planner's estimate if that is more than is counted."""
        found = asked.count(row)
        if found > order_counts.EXACT_BELOW:
            guess, _ = await self._expected(asked)
            count = OrderCount(max(order_counts.EXACT_BELOW, guess), estimated=True)
            self._counts.keep(asked.fits, count)
            return count
        count = OrderCount(found, estimated=False)
        if not asked.changes_by_itself:
            self._counts.keep(asked.fits, count, row["seen"])
        return count

    async def _found(
        self, asked: PageStatements, count: OrderCount | None, total: str, seen: str, *, counts: bool = False
    ) -> asyncpg.Record:
        """The row of the page, walked or looked up. `count` is how many orders fit, if that is known.

        `counts`: the total is a count, for which PostgreSQL needs a plan for these values.
        """
        missing: Sequence[str] | None = None
        page_fits = count is None or count.total >= asked.limit
        far = count is not None and count.total >= MANY
        surely = asked.is_one_index and not asked.is_of_sku
        missed = list[Way]()
        for way in asked.ways(far=far):
            if not surely and (not page_fits or self._counts.is_sparse(asked.fits, way)):
                continue
            statement = asked.walk(way, total, seen)
            row = await (_run(self._planned, statement) if counts else self._together.row(statement))
            if not row["missing"]:
                self._note(asked, row, missed)
                return row
            missed.append(way)
            missing = row["missing"] if asked.field is not None and way != "buckets" else missing
        guess = count.total if count is not None else (await self._expected(asked))[0]
        walk_on = guess > MOST_LOOKED_UP
        row = await _run(self._planned, asked.look_up(total, seen, walk_on=walk_on, missing=missing))
        if not walk_on:
            self._note(asked, row, missed)
        return row

    def _note(self, asked: PageStatements, row: asyncpg.Record, missed: Sequence[Way]) -> None:
        """Note which walks have missed a page that there is."""
        if row["found"] > asked.limit:
            for way in missed:
                self._counts.found_sparse(asked.fits, way)

    async def _expected(self, asked: PageStatements) -> tuple[int, float]:
        conditions, values = conditions_of(asked.fits)
        return await self._planned.run(lambda c: expected(c, together([*conditions.values()]), values))


@lru_cache(MOST_STATEMENTS)
def _statements(search: OrderSearch, offset: int) -> PageStatements:
    return PageStatements(search, offset=offset)


def _told_by(asked: PageStatements, row: asyncpg.Record) -> OrderCount | None:
    """How many orders fit, if the page is all that there is: the planner may have expected many more."""
    return OrderCount(row["found"], estimated=False) if asked.begins and row["found"] <= asked.limit else None


def _newest(fits: OrderQuery, offset: int, limit: int, *, counted: bool) -> _Asked:
    return _Asked(OrderSearch(filter=fits, limit=limit, troubles=False), counted=counted, offset=offset)


async def _run(lanes: Lanes, statement: Statement) -> asyncpg.Record:
    row = await lanes.run(lambda connection: connection.fetchrow(statement.text, *statement.values))
    assert row is not None  # noqa: S101 - sums of no rows are a row
    return row
