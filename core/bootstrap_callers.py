"""Opens the keys of callers: for every daemon, which checks them, and for those who make and revoke them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.adapters.postgres.api_keys import PostgresApiKeys
from core.adapters.postgres.connection import Link, connect
from core.home import database_url
from core.ports.api_keys import ApiKeys
from core.settings import Settings


@asynccontextmanager
async def open_api_keys(settings: Settings, *, name: str) -> AsyncGenerator[ApiKeys]:
    """They are always on the primary: a replica may not know for a while that a key is revoked."""
    dsn = database_url(settings)
    link = Link(lambda: connect(dsn, name=name))
    try:
        yield PostgresApiKeys(link)
    finally:
        link.close()
