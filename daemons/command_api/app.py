"""The ASGI application of the command API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

from litestar import Litestar
from litestar.datastructures import State

from core.bootstrap import App, bootstrap
from core.bootstrap_callers import open_api_keys
from core.bootstrap_customers import open_customer_keys
from core.bootstrap_generations import open_generations
from core.bootstrap_notifier import open_webhooks
from core.domain.inventory import INVENTORY
from core.ports.api_keys import ApiKeys
from core.ports.customer_keys import CustomerKeys
from core.ports.generations import Generations
from core.ports.webhooks import Webhooks
from core.services.load import StateCache
from core.services.seal import SealingStore
from core.settings import Settings
from daemons.command_api import (
    caller,
    dead_letters,
    erasures,
    inventory,
    orders,
    rebuilds,
    refunds,
    sagas,
    snapshots,
    webhooks,
)
from daemons.command_api import keys as keys_of_callers
from daemons.command_api.admission import Admission
from daemons.command_api.command_meter import CommandMeter
from daemons.http import history as measured
from daemons.http.callers import check_role
from daemons.http.openapi import WireTypes, openapi
from daemons.http.other_processes import OtherProcesses
from daemons.http.paths import with_whole_segments
from daemons.http.problems import HANDLERS
from daemons.http.straight import Straight
from daemons.process.history import History
from daemons.process.vitals import ASGIApp, Vitals


@asynccontextmanager
async def open_app(settings: Settings, vitals: Vitals) -> AsyncGenerator[ASGIApp]:
    async with (
        bootstrap(settings, name="command-api", faults=vitals.faults) as opened,
        open_generations(opened) as generations,
        open_customer_keys(opened) as keys,
        open_api_keys(settings, name="command-api") as api_keys,
        open_webhooks(opened) as hooks,
    ):
        app = replace(opened, store=SealingStore(opened.store, keys)) if settings.seal_customers else opened
        history, meter = History(vitals.name), CommandMeter()
        admission = Admission(app.sagas, app.store, settings.most_waiting_sagas, vitals.faults)
        keeping = asyncio.gather(history.keep(meter.measure), admission.keep())
        try:
            others = OtherProcesses(settings, vitals)
            service = make_app(app, history, others, admission, generations, keys, api_keys, hooks)
            vitals.degraded.append(admission.degraded)
            vitals.started(app.why_not_ready)
            yield meter.counting(with_whole_segments(Straight(service)))
        finally:
            vitals.degraded.clear()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


def make_app(
    app: App,
    history: History,
    others: OtherProcesses,
    admission: Admission,
    generations: Generations,
    keys: CustomerKeys,
    api_keys: ApiKeys,
    hooks: Webhooks,
) -> Litestar:
    """The application with every route; handlers take these arguments and the cached `stock` from its state."""
    state = {
        "app": app,
        "history": history,
        "others": others,
        "admission": admission,
        "generations": generations,
        "customer_keys": keys,
        "api_keys": api_keys,
        "webhooks": hooks,
    }
    modules = (
        *(
            orders,
            refunds,
            inventory,
            sagas,
            dead_letters,
            rebuilds,
            erasures,
            keys_of_callers,
            webhooks,
            snapshots,
            caller,
        ),
        measured,
    )
    return Litestar(
        [route for module in modules for route in module.ROUTES],
        state=State({**state, "stock": StateCache(app.store, INVENTORY)}),
        before_request=check_role,
        exception_handlers=HANDLERS,
        logging_config=None,  # daemons/process/logs.py has set up logging; the framework would replace that
        openapi_config=openapi("orderdeck commands"),
        plugins=[WireTypes()],
    )
