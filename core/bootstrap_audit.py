"""Opens the audit: for every daemon, which records what it is asked for, and for those who read it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core.adapters.postgres.audit import PostgresAudit
from core.adapters.postgres.connection import Link, connect
from core.adapters.postgres.daemon_runs import PostgresDaemonRuns
from core.home import database_url
from core.ports.audit import AuditTrail
from core.ports.daemon_runs import DaemonRuns
from core.settings import Settings


@dataclass(frozen=True)
class Audit:
    """What is recorded, and the runs of daemons, whose settings are compared when the next run begins."""

    trail: AuditTrail
    runs: DaemonRuns


@asynccontextmanager
async def open_audit(settings: Settings, *, name: str) -> AsyncGenerator[Audit]:
    """It is always that of the primary: a replica does not have the newest rows yet."""
    dsn = database_url(settings)
    link = Link(lambda: connect(dsn, name=name))
    try:
        yield Audit(PostgresAudit(link), PostgresDaemonRuns(link))
    finally:
        link.close()
