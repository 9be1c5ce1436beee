"""The query on the settings with which each process of each daemon runs."""

from __future__ import annotations

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.types import ASGIApp

from core import codec
from core.ports.daemon_runs import DaemonRun, DaemonRuns
from daemons.http.openapi import answers
from daemons.query_api.response import json_response


class DaemonRunList(msgspec.Struct, kw_only=True):
    """The newest first. Of a secret, `settings` says `(set)`. Without `ended_at` it runs, or was killed."""

    runs: list[DaemonRun]


@get("/api/v1/admin/settings", responses=answers(DaemonRunList, 503))
async def settings(state: State) -> ASGIApp:
    """The settings of the last run of each process on each machine, as it runs with them."""
    runs: DaemonRuns = state["daemon_runs"]
    return json_response(codec.json(DaemonRunList(runs=list(await runs.newest()))))


ROUTES = (settings,)
