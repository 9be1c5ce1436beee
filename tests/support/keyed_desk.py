"""Both APIs where keys are needed, as real processes over one database, and the command beside them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import asyncpg
import httpx

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.settings import Settings, env_names
from tests.support.daemon_process import DaemonProcess
from tests.support.forked_command import run_forked
from tests.support.logins import of_daemons
from tests.support.raw_http import request, send
from tests.support.stack import ROOT, until


@dataclass
class KeyedDesk:
    commands: DaemonProcess
    queries: DaemonProcess
    env: dict[str, str]

    def orderdeck(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return run_forked(arguments, self.env | env, ROOT, limit=60)

    def printing_onto(self, device: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return run_forked(arguments, self.env | env, ROOT, limit=60, onto=device)

    def make_key(self, caller: str, role: str, *more: str) -> str:
        done = self.orderdeck("keys", "create", caller, "--role", role, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, method: str, path: str, key: str | None = None, body: Any = None, **headers: str) -> httpx.Response:
        """The command API is asked for what is no GET."""
        daemon = self.queries if method == "GET" else self.commands
        shown = {} if key is None else {"Authorization": f"Bearer {key}"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{daemon.port}{path}"
        return httpx.request(method, url, json=body, headers=shown | named, trust_env=False, timeout=20)

    def audited(self, key: str, *, wanted: int = 1, **filters: str) -> list[dict[str, Any]]:
        """The rows of the audit, the newest first, once there are as many as wanted; refusals come a little later."""
        deadline = time.monotonic() + 20
        while True:
            answer = self.ask("GET", f"/api/v1/audit?{urlencode({'limit': '1000', **filters})}", key)
            assert answer.status_code == 200, answer.text
            rows = answer.json()["rows"]
            if len(rows) >= wanted:
                return rows
            assert time.monotonic() < deadline, f"{len(rows)} rows and not {wanted}: {rows}"
            time.sleep(0.02)

    async def audit_in_full(self) -> str:
        """Every text that the audit holds."""
        connection = await asyncpg.connect(self.commands.dsn)
        rows = await connection.fetch("SELECT a::text FROM audit a")
        await connection.close()
        return "\n".join(row[0] for row in rows)


@contextmanager
def keyed_desk(postgres: EmbeddedPostgres, template: str, home: Path) -> Iterator[KeyedDesk]:
    name = "callers_" + home.name.replace("-", "_")
    asyncio.run(_admin(postgres, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    dsn = postgres.dsn(name)
    settings = {"ORDERDECK_REQUIRE_KEYS": "true", "ORDERDECK_SEAL_CUSTOMERS": "false"}
    settings |= {"ORDERDECK_RATE_LIMITS": "feeds=3/600s", "ORDERDECK_TRUSTED_PROXIES": "127.0.0.1"}
    commands, queries = (DaemonProcess(each, dsn, home, settings) for each in ("command_api", "query_api"))
    known = {each for field in Settings.model_fields for each in env_names(field)}
    env = {each: value for each, value in os.environ.items() if each not in known} | settings
    ports = {"ORDERDECK_COMMAND_PORT": str(commands.port), "ORDERDECK_QUERY_PORT": str(queries.port)}
    desk = KeyedDesk(commands, queries, env | ports | {"ORDERDECK_HOME": str(home), "DATABASE_URL": of_daemons(dsn)})
    try:
        for daemon in (commands, queries):
            daemon.start()
        for daemon in (commands, queries):
            until(lambda port=daemon.port: _ready(port))
        yield desk
        for daemon in (commands, queries):
            assert daemon.process is not None
            daemon.process.terminate()
            assert daemon.process.wait(20) == 0, daemon.output()
        output = commands.output() + queries.output()
        assert "Traceback" not in output
        assert "od_" not in output
    finally:
        commands.kill()
        queries.kill()
        asyncio.run(_admin(postgres, f"DROP DATABASE {name} WITH (FORCE)"))


async def _admin(postgres: EmbeddedPostgres, statement: str) -> None:
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(statement)
    await admin.close()


def _ready(port: int) -> bool:
    try:
        return send(port, request(target="/health?ready")).status == 200
    except OSError:
        return False
