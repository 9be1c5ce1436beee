"""Opens generations of read models: the list of them, and the tables of one, to fill or to read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from core.adapters.drill import drill
from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.generation_rows import open_generation_rows
from core.adapters.postgres.generations import PostgresGenerations, opened_in
from core.adapters.postgres.lanes import opened_with
from core.adapters.postgres.past_generations import PostgresPastGenerations
from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.subscription import PostgresSubscription
from core.audit.generation_check import differs
from core.bootstrap import App, order_cache
from core.home import database_url
from core.ports.generations import Generation, Generations
from core.ports.queries import Queries
from core.ports.reading import ReadModels, RowShare, Subscription
from core.projections import ORDERS
from core.projections.projection import Group
from core.services.past_models import PastModels


@asynccontextmanager
async def open_generations(app: App) -> AsyncGenerator[Generations]:
    """The list of generations, and what makes and drops them."""
    generations = PostgresGenerations(lambda: connect(database_url(app.settings), name=app.name, limits=False))
    try:
        yield generations
    finally:
        generations.close()


@asynccontextmanager
async def open_generation_to_fill(
    app: App, group: Group[Any], generation: int, share: RowShare | None = None
) -> AsyncGenerator[ReadModels]:
    """The tables of a generation, for the projector that fills it. Its methods raise GenerationGone after its end."""
    read_models = PostgresReadModels(_opener(app, generation), group, generation, share)
    try:
        yield drill(app.settings, app.name).read_models(read_models)
    finally:
        read_models.close()


def log_of_share(app: App, share: RowShare) -> Subscription:
    """The log without the events of other rows."""
    dsn = database_url(app.settings)
    # Planned anew for each batch, as PostgreSQL would, a read takes it a sixth longer.
    subscription = PostgresSubscription(
        lambda: opened_with(lambda: connect(dsn, name=app.name), "plan_cache_mode = force_generic_plan"), share
    )
    return drill(app.settings, app.name).subscription(subscription)


@asynccontextmanager
async def switching(app: App, group: Group[Any], generations: Generations) -> AsyncGenerator[Generations]:
    """The generations for whoever switches one of this group in: nothing of before is answered from a cache then."""
    if app.settings.redis_url is None or group is not ORDERS:
        yield generations
        return
    from core.adapters.redis.opening import cached_generations  # noqa: PLC0415 - as for `order_cache`

    async with cached_generations(generations, await order_cache(app)) as cached:
        yield cached


async def compare_with_log(app: App, group: Group[Any], generation: Generation) -> str:
    """What a generation has otherwise than the log gives it; '' if nothing."""
    opening = open_generation_rows(_opener(app, generation.id, limits=False), group, f"{group.reader}@{generation.id}")
    async with opening as rows:
        return await differs(rows, group, all_=generation.check_all)


@asynccontextmanager
async def open_generation_queries(app: App, generation: int) -> AsyncGenerator[Queries]:
    """The queries of the query API on the tables of a generation. They raise GenerationGone when it was dropped before.

    Whoever drops it while a query is under way lets the next ones read the live tables, so close these before.
    """
    queries = PostgresQueries(_opener(app, generation))
    try:
        yield queries
    finally:
        queries.close()


@asynccontextmanager
async def open_past_models(app: App) -> AsyncGenerator[PastModels]:
    """The read models as of earlier positions, which are built when somebody asks for them."""
    generations = PostgresPastGenerations(lambda: connect(database_url(app.settings), name=app.name))
    models = PastModels(generations, lambda id_: open_generation_queries(app, id_), app.settings.most_past_moments)
    try:
        yield models
    finally:
        await models.close()
        generations.close()


def _opener(app: App, generation: int, *, limits: bool = True) -> Callable[[], Awaitable[Connection]]:
    """Opens connections on which the tables of a generation are found first."""
    dsn = database_url(app.settings)
    return lambda: opened_in(lambda: connect(dsn, name=app.name, limits=limits), generation)
