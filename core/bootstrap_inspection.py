"""Opens what administrators look at, for the query API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.adapters.postgres.connection import Link, connect
from core.adapters.postgres.inspection.inspection import PLANS, PostgresInspection
from core.adapters.postgres.lanes import opened_with
from core.bootstrap import App
from core.home import database_url
from core.ports.inspection import Inspection


@asynccontextmanager
async def open_inspection(app: App) -> AsyncGenerator[Inspection]:
    """It is always on the primary, which alone knows who holds what now."""
    dsn = database_url(app.settings)
    link = Link(lambda: opened_with(lambda: connect(dsn, name=app.name), PLANS))
    try:
        yield PostgresInspection(link)
    finally:
        link.close()
