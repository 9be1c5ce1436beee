"""Which database this is: one text for all who use it, on its primary and its replicas; another for a restored dump."""

from __future__ import annotations

from core.adapters.postgres.connection import Connection

IDENTITY = """
SELECT system_identifier || '-' || (SELECT oid FROM pg_database WHERE datname = current_database())
  FROM pg_control_system()
"""


async def identity(connection: Connection) -> str:
    return str(await connection.fetchval(IDENTITY))
