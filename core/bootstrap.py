"""Bootstrap: the one place that chooses the adapter of each port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from core.adapters.drill import drill
from core.adapters.postgres.clock import DatabaseClock, log_ahead
from core.adapters.postgres.connection import Connection, Link, connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.evidence import open_evidence
from core.adapters.postgres.migrate import NEEDED, schema_version
from core.adapters.postgres.order_numbers import PostgresOrderNumbers
from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.adapters.postgres.subscription import PostgresSubscription
from core.errors import DatabaseFault, SchemaBehind
from core.fault_board import FaultBoard
from core.home import database_url
from core.ports.clock import Clock
from core.ports.evidence import Evidence
from core.ports.log import EventStore, OrderNumbers
from core.ports.payments import PaymentGateway
from core.ports.queries import Queries
from core.ports.reading import ReadModels, Subscription
from core.ports.sagas import SagaLog
from core.projections.projection import Group
from core.services.catalogue import load_catalogue
from core.settings import Settings

NO_SUCH_DATABASE = "3D000"  # SQLSTATE invalid_catalog_name


@dataclass(frozen=True)
class App:
    """The adapters that daemons share. Each daemon uses the ones that it needs."""

    settings: Settings
    name: str
    store: EventStore
    order_numbers: OrderNumbers
    sagas: SagaLog
    clock: Clock
    subscription: Callable[[], Subscription]
    why_not_ready: Callable[[], Awaitable[str | None]]
    log_ahead_of_clock: Callable[[], Awaitable[float]]
    """By how many seconds the last event is later than the database's clock, which then must have jumped back."""


@asynccontextmanager
async def bootstrap(settings: Settings, *, name: str, faults: FaultBoard | None = None) -> AsyncGenerator[App]:
    """Open an App for the daemon of this name. Its background tasks report their faults on `faults`.

    Raises Unavailable, DatabaseFault or SchemaBehind while the database is not ready.
    """
    await _must_have_schema(settings, name)
    open_connection = _opener(settings, name)
    failpoints = drill(settings, name)
    link, saga_link = Link(open_connection), Link(open_connection)
    clock = DatabaseClock(link, faults=faults)
    await clock.look()
    clock_task = asyncio.create_task(clock.keep())
    store = PostgresEventStore(open_connection, faults)

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
            clock=clock,
            subscription=lambda: failpoints.subscription(PostgresSubscription(open_connection)),
            why_not_ready=why_not_ready,
            log_ahead_of_clock=lambda: link.run(log_ahead),
        )
    finally:
        clock_task.cancel()
        await store.close()
        link.close()
        saga_link.close()


def _opener(settings: Settings, name: str) -> Callable[[], Awaitable[Connection]]:
    """A function that opens a connection for a daemon. It is passed to adapters only."""
    dsn = database_url(settings)
    return lambda: connect(dsn, name=name)


async def _must_have_schema(settings: Settings, name: str) -> None:
    """Raise SchemaBehind if the database lacks a migration that this release needs.

    It connects without the daemons' role, because a new database has that role only after its migrations. An embedded
    server without a database counts as schema 0, because the program `postgres` makes it at the first start.
    """
    link = Link(lambda: connect(database_url(settings), name=name, role=None))
    try:
        version = await link.run(schema_version)
    except DatabaseFault as fault:
        if settings.database_url is not None or fault.sqlstate != NO_SUCH_DATABASE:
            raise
        version = 0
    finally:
        link.close()
    if version < NEEDED:
        raise SchemaBehind(version, NEEDED)


@asynccontextmanager
async def freeze_evidence(settings: Settings, *, wait: float) -> AsyncGenerator[Evidence]:
    """The whole database as of one moment, for `verify`. Before, running readers get `wait` seconds to reach the head.

    It connects as the owner, without the time limits of the daemons. Raises Unavailable, DatabaseFault, SchemaBehind.
    """

    async def open_connection() -> Connection:
        return await connect(database_url(settings), name="verify", role=None, limits=False)

    await _must_have_schema(settings, "verify")
    async with open_evidence(open_connection, wait=wait) as evidence:
        yield evidence


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncGenerator[PaymentGateway]:
    """The payment provider that the settings name. Its HTTP client is imported here, since most daemons need none."""
    from core.adapters.payments.http import HttpPaymentGateway  # noqa: PLC0415 - as the docstring says

    async with HttpPaymentGateway(settings.payments_at) as gateway:
        yield drill(settings, "saga-runner").gateway(gateway)


@asynccontextmanager
async def open_read_models(app: App, group: Group[Any]) -> AsyncGenerator[ReadModels]:
    """The tables of one group of read models, which the projector fills."""
    from core.adapters.postgres.read_models.store import PostgresReadModels  # noqa: PLC0415 - only the projector needs it

    read_models = PostgresReadModels(_opener(app.settings, app.name), group)
    try:
        yield drill(app.settings, "projector").read_models(read_models)
    finally:
        read_models.close()


@asynccontextmanager
async def open_queries(app: App) -> AsyncGenerator[Queries]:
    """The queries of the query API, each on the connections that suit it."""
    queries = PostgresQueries(_opener(app.settings, app.name))
    try:
        yield queries
    finally:
        queries.close()


async def load_samples(settings: Settings) -> bool:
    """Put the sample catalogue into an empty log, unless the settings forbid it. Returns whether it did."""
    if not settings.sample_catalogue:
        return False
    async with bootstrap(settings, name="samples") as app:
        return await load_catalogue(app.store, app.clock)
