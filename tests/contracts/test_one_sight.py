"""Answers while the read models are switched: each is as one generation has it, wherever the switch falls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.generations import PostgresGenerations
from core.adapters.postgres.queries import totals
from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.read_models import order_counts
from core.domain.message import OrderId
from core.filters.order_query import OrderQuery
from core.ports.generations import NewGeneration
from core.ports.listed_orders import OrderSearch
from core.projections import ORDERS
from tests.support.building import build
from tests.support.orders import Sample, write
from tests.support.projecting import project

REBUILD = NewGeneration(purpose="rebuild", requested_by="ada")
KEPT = "UPDATE generations SET state = 'switching', keep_until = NULL WHERE state = 'kept' RETURNING id"
SPOILT = """
DELETE FROM order_views WHERE order_id IN (
    SELECT order_id FROM (SELECT order_id, row_number() OVER (ORDER BY order_id) AS n FROM order_views) AS o
     WHERE n % 3 <> 2);
UPDATE daily_sales SET orders = orders + 1000;
"""
"""What makes the rows of one generation differ from those of the other in every answer."""
NOT_ALL = OrderQuery(not_sku=("no order has it",))  # no sum knows how many orders that are
MOST = 8  # statements before which a switch may fall; no answer takes more

Read = Callable[[PostgresQueries], Awaitable[Any]]


class Interrupted:
    """A connection that lets something happen before each of its statements."""

    def __init__(self, connection: Connection, before: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._before = before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in {"fetch", "fetchrow", "fetchval", "execute"}:
            return found

        async def run(*arguments: Any, **options: Any) -> Any:
            await self._before()
            return await found(*arguments, **options)

        return run


class Switched:
    """A database with two generations of the orders, and queries on it during which they are switched."""

    def __init__(self, dsn: str, owner: asyncpg.Connection, one: OrderId) -> None:
        self._owner = owner
        self._moments: set[int] = set()
        self._statement = MOST
        self.switches = 0
        self.queries = PostgresQueries(lambda: self._open(dsn))
        self.reads: dict[str, Read] = {
            "one": lambda q: q.order(one),
            "list": lambda q: q.orders(OrderSearch(filter=OrderQuery(), limit=5)),
            "list of several statuses": lambda q: q.orders(
                OrderSearch(filter=OrderQuery(status=("CREATED", "CONFIRMED", "SHIPPED", "DELIVERED")), limit=50)
            ),
            "page with its count": lambda q: q.counted_orders(OrderSearch(filter=OrderQuery(), limit=5)),
            "newest with their count": lambda q: q.counted_newest_orders(OrderQuery(), offset=1, limit=3),
            "page of a filter with its count": lambda q: q.counted_orders(OrderSearch(filter=NOT_ALL, limit=5)),
            "newest of a filter with their count": lambda q: q.counted_newest_orders(NOT_ALL, offset=1, limit=3),
            "count": lambda q: q.count_orders(OrderQuery()),
            "counts by status": lambda q: q.count_orders_by_status(OrderQuery()),
            "totals of the desk": lambda q: q.desk_totals(),
        }
        self.answers: dict[str, list[Any]] = {name: [] for name in self.reads}

    async def _open(self, dsn: str) -> Any:
        return Interrupted(await connect(dsn, name="test"), self._before)

    async def _before(self) -> None:
        self._statement += 1
        if self._statement in self._moments:
            await self.switch()

    async def switch(self) -> None:
        """Switch, unless somebody reads the tables at this moment; then the one who switches would come again later."""
        try:
            async with self._owner.transaction():
                await self._owner.execute("SET LOCAL lock_timeout = '5ms'")
                id_ = await self._owner.fetchval(KEPT)
                said = await self._owner.fetchval(
                    "SELECT switch_generation($1, $2, $3)", id_, timedelta(), timedelta(hours=1)
                )
                assert not said, said
                self.switches += 1
        except asyncpg.LockNotAvailableError:
            pass

    async def read(self, name: str, moments: set[int]) -> Any:
        """The answer while a switch is tried before each of these statements."""
        self._statement, self._moments = 0, moments
        try:
            return await self.reads[name](self.queries)
        finally:
            self._moments = set()


@asynccontextmanager
async def two_generations(dsn: str) -> AsyncIterator[Switched]:
    async def daemon() -> Connection:
        return await connect(dsn, name="test")

    log = list(Sample(24, payments=True).events())
    await write(dsn, log)
    await project(daemon)
    owner = await asyncpg.connect(dsn)
    generations = PostgresGenerations(daemon)
    await build(daemon, generations, ORDERS, await generations.request(ORDERS, REBUILD))
    generations.close()
    await owner.execute(SPOILT)
    here = Switched(dsn, owner, OrderId(min(e.stream for e in log if e.category == "order")))
    for _ in range(2):
        for name in here.reads:
            here.answers[name].append(await here.read(name, set()))
        await here.switch()
    assert here.switches == 2
    yield here
    here.queries.close()
    await owner.close()


READS = (
    "one",
    "list",
    "list of several statuses",
    "page with its count",
    "newest with their count",
    "page of a filter with its count",
    "newest of a filter with their count",
)
COUNTS = ("count", "counts by status", "totals of the desk")
BEFORE_EACH = [(name, {1}) for name in READS + COUNTS]
"""Whatever plans chance makes, this one has a switch for each answer."""
PLANS = st.lists(st.tuples(st.sampled_from(READS + COUNTS), st.sets(st.integers(1, MOST), max_size=3)), max_size=6)


def test_no_answer_mixes_two_generations_wherever_switches_fall(dsn: str) -> None:
    with asyncio.Runner() as runner:
        opened = two_generations(dsn)
        here = runner.run(anext_of(opened))
        assert here.answers.keys() == {*READS, *COUNTS}
        assert all(first != second for first, second in here.answers.values())

        @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(PLANS)
        @example(BEFORE_EACH)
        def every_answer_is_whole(plan: Sequence[tuple[str, set[int]]]) -> None:
            for name, moments in plan:
                assert runner.run(here.read(name, moments)) in here.answers[name], name

        before = here.switches
        try:
            every_answer_is_whole()
            assert here.switches > before + 5
        finally:
            runner.run(opened.__aexit__(None, None, None))


def test_without_the_lock_answers_of_several_statements_would_mix_them(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (order_counts, totals):
        monkeypatch.setattr(module, "one_sight", lambda *_: nullcontext())

    async def mixed() -> set[str]:
        async with two_generations(dsn) as here:
            found: set[str] = set()
            for name in here.reads:
                for moment in range(2, MOST):
                    if await here.read(name, {moment}) not in here.answers[name]:
                        found.add(name)
            return found

    assert asyncio.run(mixed()) >= {"totals of the desk"}


async def anext_of(opened: Any) -> Switched:
    return await opened.__aenter__()
