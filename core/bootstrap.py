"""Bootstrap: the one place that chooses the adapter of each port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.adapters.drill import drill
from core.adapters.postgres.clock import DatabaseClock, log_ahead
from core.adapters.postgres.connection import Connection, Link, connect, see_through
from core.adapters.postgres.dead_letters import PostgresDeadLetters
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.evidence import open_evidence
from core.adapters.postgres.identity import identity
from core.adapters.postgres.migrate import NEEDED, migrate
from core.adapters.postgres.order_numbers import PostgresOrderNumbers
from core.adapters.postgres.preflight import Look, look_at, must_suit_daemons
from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.replicas.watch import watched_replicas
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.adapters.postgres.saga_starts import PostgresSagaStarts
from core.adapters.postgres.shares import PostgresShares
from core.adapters.postgres.stock_turns import PostgresStockTurns
from core.adapters.postgres.subscription import PostgresSubscription
from core.errors import ConfigurationError, LoginRefused, SchemaBehind, Unavailable
from core.fault_board import FaultBoard
from core.home import database_url, owner_url
from core.ports.broker import Broker
from core.ports.clock import Clock
from core.ports.dead_letters import DeadLetters
from core.ports.deliveries import Topics
from core.ports.evidence import Evidence
from core.ports.log import EventStore, OrderNumbers
from core.ports.order_cache import CacheReport
from core.ports.payments import PaymentGateway
from core.ports.queries import Queries
from core.ports.reading import ReadModels, Subscription
from core.ports.sagas import SagaLog, SagaStarts
from core.ports.shared_models import SharedReadModels
from core.ports.shares import Shares
from core.ports.stock_turns import StockTurns
from core.projections import ORDERS
from core.projections.projection import Group
from core.services import relay
from core.services.catalogue import load_catalogue
from core.services.request_reads import ReadServers
from core.settings import Settings

if TYPE_CHECKING:
    from core.adapters.redis.opening import OrderCache
SPACING = {"saga-runner": 0.03}  # seconds between appends: no caller waits for a step; many together cost less


@dataclass(frozen=True)
class App:
    """The adapters that daemons share. Each daemon uses the ones that it needs."""

    settings: Settings
    name: str
    store: EventStore
    order_numbers: OrderNumbers
    sagas: SagaLog
    saga_starts: SagaStarts
    shares: Shares
    stock_turns: StockTurns
    clock: Clock
    subscription: Callable[[], Subscription]
    why_not_ready: Callable[[], Awaitable[str | None]]
    cache: CacheReport
    dead_letters: DeadLetters
    log_ahead_of_clock: Callable[[], Awaitable[float]]
    """By how many seconds the last event is later than the database's clock, which then must have jumped back."""


@asynccontextmanager
async def bootstrap(settings: Settings, *, name: str, faults: FaultBoard | None = None) -> AsyncGenerator[App]:
    """Open an App for the daemon of this name. Its background tasks report their faults on `faults`.

    Raises Unavailable, DatabaseFault or SchemaBehind while the database is not ready.
    """
    await must_be_ready(settings)
    open_connection, failpoints = _opener(settings, name), drill(settings, name)
    saga_starts, stock_turns = PostgresSagaStarts(open_connection), PostgresStockTurns(open_connection)
    link, saga_link, share_link = Link(open_connection), Link(open_connection), Link(open_connection)
    clock, dead_letters = DatabaseClock(link, faults=faults), PostgresDeadLetters(open_connection)
    await clock.look()
    aside = [asyncio.create_task(each) for each in (clock.keep(), see_through(database_url(settings), name=name))]
    store = PostgresEventStore(open_connection, faults, spacing=SPACING.get(name, 0.0))

    async def why_not_ready() -> str | None:
        await link.run(lambda c: c.fetchval("SELECT 1"))
        return "too many appends wait" if store.full else None

    try:
        yield App(
            settings=settings,
            name=name,
            store=failpoints.store(store),
            order_numbers=PostgresOrderNumbers(link),
            sagas=failpoints.saga_log(PostgresSagaLog(saga_link)),
            saga_starts=saga_starts,
            shares=PostgresShares(share_link),
            stock_turns=stock_turns,
            clock=clock,
            subscription=lambda: failpoints.subscription(PostgresSubscription(open_connection)),
            why_not_ready=why_not_ready,
            cache=CacheReport(),
            dead_letters=dead_letters,
            log_ahead_of_clock=lambda: link.run(log_ahead),
        )
    finally:
        for task in aside:
            task.cancel()
        await store.close()
        for opened in (link, saga_link, share_link, saga_starts, stock_turns, dead_letters):
            opened.close()


def _opener(settings: Settings, name: str) -> Callable[[], Awaitable[Connection]]:
    """A function that opens a connection for a daemon. It is passed to adapters only."""
    return lambda: connect(database_url(settings), name=name)


async def look_at_database(settings: Settings) -> dict[str, Look]:
    """What the daemons, and the owner of the tables when it is another user, find at the address of each setting.

    Raises ConfigurationError, Unavailable or DatabaseFault when daemons cannot use the database as it is.
    """
    looks = {"DATABASE_URL": await look_at(database_url(settings), "DATABASE_URL")}
    must_suit_daemons(looks["DATABASE_URL"])
    if settings.owner_url is not None:
        looks["ORDERDECK_OWNER_URL"] = await look_at(owner_url(settings), "ORDERDECK_OWNER_URL")
    if looks["DATABASE_URL"].schema >= NEEDED and not looks["DATABASE_URL"].may_append:
        raise ConfigurationError(f"{looks['DATABASE_URL'].user} has not the rights of a daemon: `orderdeck migrate`")
    return looks


async def check_owner(settings: Settings) -> None:
    """Look at the database as the owner of its tables, who is the first to use it.

    Raises ConfigurationError, Unavailable and DatabaseFault when `migrate` cannot use the database as it is.
    """
    owner = owner_url(settings)
    look = await look_at(owner, "DATABASE_URL" if settings.owner_url is None else "ORDERDECK_OWNER_URL")
    if owner == database_url(settings):
        must_suit_daemons(look)


async def migrate_database(settings: Settings) -> int:
    """Look at the database, bring its schema up to this release's, and look whether daemons can use it now.

    Raises ConfigurationError, Unavailable and DatabaseFault; returns the schema's number.
    """
    await check_owner(settings)
    owner, daemons = owner_url(settings), database_url(settings)
    schema = await migrate(owner, daemons if daemons != owner else None)
    must_suit_daemons(await look_at(daemons, "DATABASE_URL"))
    return schema


async def must_be_ready(settings: Settings) -> None:
    """Raise SchemaBehind if the database lacks a migration that this release needs.

    `migrate` makes the embedded database at the first start, and with ORDERDECK_OWNER_URL the daemons' user. Until then
    we wait. Raises ConfigurationError for what nobody is about to make.
    """
    try:
        look = await look_at(database_url(settings), "DATABASE_URL")
    except LoginRefused as refused:
        if settings.database_url is None:
            raise SchemaBehind(0, NEEDED) from refused
        if settings.owner_url is not None:
            raise Unavailable(f"{refused}; `orderdeck migrate` makes a user that is missing") from refused
        raise
    must_suit_daemons(look)
    if look.schema < NEEDED:
        raise SchemaBehind(look.schema, NEEDED)
    if not look.may_append:
        raise Unavailable(f"{look.user} has not the rights of {look.role}: run `orderdeck migrate`")


@asynccontextmanager
async def freeze_evidence(settings: Settings, *, wait: float) -> AsyncGenerator[Evidence]:
    """The whole database as of one moment, for `verify`. Before, running readers get `wait` seconds to reach the head.

    It connects as the owner, without the time limits of the daemons. Raises Unavailable, DatabaseFault, SchemaBehind.
    """
    await must_be_ready(settings)
    owner = owner_url(settings)
    async with open_evidence(lambda: connect(owner, name="verify", role=None, limits=False), wait=wait) as evidence:
        yield evidence


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncGenerator[PaymentGateway]:
    """The payment provider that the settings name. Its HTTP client is imported here, since most daemons need none."""
    from core.adapters.payments.http import HttpPaymentGateway  # noqa: PLC0415 - as the docstring says

    async with HttpPaymentGateway(settings.payments_at, show=settings.shows_provider) as gateway:
        yield drill(settings, "saga-runner").gateway(gateway)


def broker_of(app: App) -> Broker:
    """The Kafka that the settings name. Its client is imported here, since most daemons need none."""
    from core.adapters.kafka.producer import KafkaBroker  # noqa: PLC0415 - as the docstring says

    return drill(app.settings, "relay").broker(KafkaBroker(app.settings))


@asynccontextmanager
async def open_read_models(
    app: App, group: Group[Any], holds: Callable[[float], bool] = lambda _: True
) -> AsyncGenerator[ReadModels]:
    """The tables of one group of read models, which the projector fills as long as it holds the group."""
    read_models = PostgresReadModels(_opener(app.settings, app.name), group)
    drilled = drill(app.settings, "projector").read_models(read_models)
    try:
        if app.settings.redis_url is None or group is not ORDERS:
            yield drilled
            return
        from core.adapters.redis.opening import cached_read_models  # noqa: PLC0415 - as for `order_cache`

        async with cached_read_models(drilled, await order_cache(app), holds) as cached:
            yield cached
    finally:
        read_models.close()


@asynccontextmanager
async def open_shared_read_models(
    app: App, group: Group[Any], holds: Callable[[float], bool]
) -> AsyncGenerator[tuple[SharedReadModels, Topics]]:
    """The tables of one group of read models, which projectors fill by shares, and the topics that have its events."""
    from core.adapters.kafka.consumer import KafkaTopics  # noqa: PLC0415 - most installations have no Kafka
    from core.adapters.postgres.read_models.shared_store import PostgresSharedReadModels  # noqa: PLC0415 - as above

    read_models = PostgresSharedReadModels(_opener(app.settings, app.name), group)
    failpoints = drill(app.settings, "projector")
    drilled = failpoints.read_models(read_models)
    topics = failpoints.topics(KafkaTopics(app.settings, [source.category for source in group.projection.sources]))
    try:
        if app.settings.redis_url is None or group is not ORDERS:
            yield drilled, topics
            return
        from core.adapters.redis.opening import cached_shared_read_models  # noqa: PLC0415 - as for `order_cache`

        count = app.settings.kafka_partitions
        async with cached_shared_read_models(drilled, await order_cache(app), holds, count) as cached:
            yield cached, topics
    finally:
        await topics.close()
        read_models.close()


@asynccontextmanager
async def open_queries(app: App) -> AsyncGenerator[Queries]:
    """The queries of the query API, each on the connections that suit it."""
    unused = () if app.settings.kafka_brokers else (relay.READER,)
    queries = PostgresQueries(_opener(app.settings, app.name), unused=unused)
    try:
        if app.settings.redis_url is None:
            yield queries
            return
        from core.adapters.redis.opening import cached_queries  # noqa: PLC0415 - as for `order_cache`

        async with cached_queries(queries, await order_cache(app)) as cached:
            yield cached
    finally:
        queries.close()


@asynccontextmanager
async def open_read_servers(app: App) -> AsyncGenerator[ReadServers]:
    """What the query API reads from: the primary, and the replicas of the settings, which are watched."""
    watched = watched_replicas(_opener(app.settings, app.name), app.settings.replicas, name=app.name)
    async with open_queries(app) as queries, watched as replicas:
        yield ReadServers(queries, replicas, cached=app.settings.redis_url is not None)


async def order_cache(app: App) -> OrderCache:
    """The cache that the settings name. Its client is imported here, since without REDIS_URL nobody needs it."""
    from core.adapters.redis.opening import OrderCache  # noqa: PLC0415 - as the docstring says

    url = app.settings.redis_url
    assert url is not None  # noqa: S101 - the callers have looked
    with closing(Link(_opener(app.settings, app.name))) as link:
        database = await link.run(identity)
    return OrderCache(url.get_secret_value(), database, app.settings.cache_ttl_seconds, app.name, app.cache)


async def load_samples(settings: Settings) -> bool:
    """Put the sample catalogue into an empty log, unless the settings forbid it. Returns whether it did."""
    if not settings.sample_catalogue:
        return False
    async with bootstrap(settings, name="samples") as app:
        return await load_catalogue(app.store, app.clock)
