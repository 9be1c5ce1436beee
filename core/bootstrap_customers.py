"""Opens the keys of customers, for the daemons that seal, open and erase."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.adapters.postgres.connection import Link, connect
from core.adapters.postgres.customer_keys import PostgresCustomerKeys
from core.bootstrap import App
from core.home import database_url
from core.ports.customer_keys import CustomerKeys


@asynccontextmanager
async def open_customer_keys(app: App) -> AsyncGenerator[CustomerKeys]:
    """They are always on the primary: a replica may have a key for a while that is destroyed."""
    dsn = database_url(app.settings)
    link = Link(lambda: connect(dsn, name=app.name))
    try:
        yield PostgresCustomerKeys(link)
    finally:
        link.close()
