"""A query API of a test's own, over HTTP, on a free port, and projectors beside it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.settings import load_settings
from daemons.process.guard.server import make_server
from daemons.process.vitals import Front, Vitals
from daemons.query_api.app import open_app
from tests.support.logins import of_daemons
from tests.support.projecting import project


@dataclass
class QueryApi:
    """`get` asserts the status; `project` fills the read models with everything that is in the log now."""

    dsn: str
    url: str
    client: httpx.AsyncClient
    vitals: Vitals

    async def get(self, path: str, status: int = 200, /, **params: Any) -> Any:
        response = await self.client.get(path, params=params)
        assert response.status_code == status, f"{response.status_code} {response.text}"
        return response.json()

    async def project(self) -> None:
        await project(lambda: connect(self.dsn, name="test"))


@contextlib.asynccontextmanager
async def database(server: EmbeddedPostgres, template: str, name: str) -> AsyncIterator[str]:
    """A database that several tests share, which only read it."""
    admin = await asyncpg.connect(server.dsn("postgres"))
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield server.dsn(name)
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


@contextlib.asynccontextmanager
async def query_api(dsn: str, home: Path, **more: str) -> AsyncIterator[QueryApi]:
    vitals = Vitals("query-api")
    front = Front(vitals)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = load_settings(database_url=of_daemons(dsn), home=home, **more)
        server = make_server(front, settings)
        async with (
            open_app(settings, vitals) as front.app,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client,
        ):
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                yield QueryApi(dsn, url, client, vitals)
            finally:
                vitals.stop.set()
                server.end()
                await serving
