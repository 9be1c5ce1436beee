"""The ASGI application of the query API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from litestar import Litestar
from litestar.datastructures import State

from core.bootstrap import App, bootstrap, open_read_servers
from core.bootstrap_audit import Audit, open_audit
from core.bootstrap_callers import open_api_keys
from core.bootstrap_customers import open_customer_keys
from core.bootstrap_generations import open_generations, open_past_models
from core.bootstrap_inspection import open_inspection
from core.bootstrap_notifier import open_webhooks
from core.errors import NotFound, Unavailable
from core.ports.api_keys import ApiKeys
from core.ports.clock import Clock
from core.ports.dead_letters import DeadLetters
from core.ports.generations import Generations
from core.ports.inspection import Inspection
from core.ports.log import EventStore
from core.ports.queries import LogSearch
from core.ports.webhooks import Webhooks
from core.services.open_answers import AnswerOpener
from core.services.past_models import PastComing, PastModels
from core.services.request_reads import ReadServers
from core.settings import Settings
from daemons.http import history as measured
from daemons.http.openapi import WireTypes, openapi
from daemons.http.paths import with_whole_segments
from daemons.http.problems import HANDLERS
from daemons.process.cache_metrics import show_cache
from daemons.process.history import History
from daemons.process.vitals import ASGIApp, Vitals
from daemons.query_api import (
    audit,
    checkpoints,
    compare,
    customers,
    daemons,
    events,
    found_events,
    inventory,
    keys,
    orders,
    products,
    readers,
    rebuilds,
    releases,
    running_settings,
    sagas,
    schemas,
    snapshots,
    stats,
    stream,
    streams,
    webhooks,
)
from daemons.query_api import dead_letters as letters
from daemons.query_api.desk_meter import DeskMeter
from daemons.query_api.hub import Hub
from daemons.query_api.log_meter import LogMeter
from daemons.query_api.opened_answers import prepare
from daemons.query_api.parked_rows import ParkedRows
from daemons.query_api.read_metrics import read_metrics
from daemons.query_api.reads import HEADERS, QUERIES, add_headers, coming, finish, not_found
from daemons.query_api.roll_call import RollCall
from daemons.query_api.straight_reads import StraightReads

MODULES = (
    orders,
    events,
    stream,
    sagas,
    inventory,
    customers,
    products,
    stats,
    compare,
    readers,
    daemons,
    schemas,
    rebuilds,
    releases,
    letters,
    keys,
    audit,
    webhooks,
    running_settings,
    found_events,
    streams,
    checkpoints,
    snapshots,
    measured,
)


@asynccontextmanager
async def open_app(settings: Settings, vitals: Vitals) -> AsyncGenerator[ASGIApp]:
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(bootstrap(settings, name="query-api", faults=vitals.faults))
        servers = await stack.enter_async_context(open_read_servers(app))
        generations = await stack.enter_async_context(open_generations(app))
        past_models = await stack.enter_async_context(open_past_models(app))
        api_keys = await stack.enter_async_context(open_api_keys(settings, name="query-api"))
        recorded = await stack.enter_async_context(open_audit(settings, name="query-api"))
        hooks = await stack.enter_async_context(open_webhooks(app))
        inspection = await stack.enter_async_context(open_inspection(app))
        opener = AnswerOpener(await stack.enter_async_context(open_customer_keys(app)))
        await opener.look()
        stack.enter_context(read_metrics(servers))
        vitals.degraded.append(servers.replicas.why_degraded)
        stack.callback(vitals.degraded.remove, servers.replicas.why_degraded)
        hub = Hub(
            app.store,
            app.subscription,
            lambda after, choice, limit: servers.request().events(
                LogSearch(after=after, limit=limit, categories=choice.categories, types=choice.types)
            ),
        )
        roll_call = RollCall(settings, vitals, servers.primary, app.shares, generations)
        history = History(vitals.name)
        desk_meter = DeskMeter(servers.primary, app.dead_letters, generations)
        keeping = asyncio.gather(history.keep(LogMeter(servers.primary).measure), desk_meter.keep())
        closing = asyncio.create_task(_close_at_stop(vitals, hub))
        try:
            show_cache(settings, app.cache, vitals)
            service = make_app(
                *(servers, app.store, hub, roll_call, history, app.clock, generations, past_models, opener),
                app.dead_letters,
                api_keys,
                recorded,
                hooks,
                inspection,
            )
            vitals.started(partial(_why_not_ready, app, servers))
            yield with_whole_segments(StraightReads(service))
        finally:
            closing.cancel()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            hub.close()
            await roll_call.close()


async def _why_not_ready(app: App, servers: ReadServers) -> str | None:
    """While the primary is away, reads go on as long as a replica answers them: what is lost is said as degraded."""
    try:
        return await app.why_not_ready()
    except Unavailable:
        if any(state.asked for state in servers.replicas.states()):
            return None
        raise


async def _close_at_stop(vitals: Vitals, hub: Hub) -> None:
    await vitals.stop.wait()
    hub.close()  # live streams never end by themselves


def make_app(
    servers: ReadServers,
    store: EventStore,
    hub: Hub,
    roll_call: RollCall,
    history: History,
    clock: Clock,
    generations: Generations,
    past_models: PastModels,
    opener: AnswerOpener,
    dead_letters: DeadLetters,
    api_keys: ApiKeys,
    recorded: Audit,
    hooks: Webhooks,
    inspection: Inspection,
) -> Litestar:
    """The application with every route; handlers take these arguments from its state, by their names."""
    return Litestar(
        [route for module in MODULES for route in module.ROUTES],
        state=State(
            {
                "servers": servers,
                "store": store,
                "hub": hub,
                "roll_call": roll_call,
                "history": history,
                "clock": clock,
                "generations": generations,
                "past_models": past_models,
                "opener": opener,
                "dead_letters": dead_letters,
                "api_keys": api_keys,
                "audit": recorded.trail,
                "daemon_runs": recorded.runs,
                "webhooks": hooks,
                "inspection": inspection,
                "parked_rows": ParkedRows(dead_letters),
            }
        ),
        exception_handlers={**HANDLERS, NotFound: not_found, PastComing: coming},
        logging_config=None,  # daemons/process/logs.py has set up logging; the framework would replace that
        openapi_config=openapi("orderdeck queries"),
        before_request=prepare,
        before_send=[add_headers],
        after_request=finish,
        dependencies=QUERIES,
        response_headers=HEADERS,
        plugins=[WireTypes()],
    )
