"""What a session is set to after it was opened, whatever the defaults of the server, the database and the user are."""

from __future__ import annotations

from typing import Any, Protocol

import asyncpg

from core.database_address import DatabaseAddress
from core.errors import ConfigurationError, DatabaseFault

ROLE = "orderdeck_app"
"""The role of the daemons. It owns no table, so neither a daemon nor its callers can change what is in the log.

Where another orderdeck of the same server already has a role of this name, `migrate` makes one with the database's
number at its end.
"""

LIMITS = {"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "10s", "jit": "off"}
NO_LIMITS = {"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0"}
ALWAYS = {
    "default_transaction_isolation": "read committed",  # append_events refuses any other
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "TimeZone": "UTC",
    "standard_conforming_strings": "on",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "synchronous_commit": "on",  # only where it is off: what is acknowledged has to be on disk
}

# A setting that this version of PostgreSQL does not have is left out.
SET = """
SELECT set_config(s.name, w.value, false)
  FROM unnest($1::text[], $2::text[]) AS w(name, value)
  JOIN pg_settings s ON s.name = w.name
 WHERE s.name <> 'synchronous_commit' OR s.setting = 'off'
"""
OWN_ROLE = """
SELECT rolname FROM pg_roles
 WHERE rolname = $1 || '_' || (SELECT oid FROM pg_database WHERE datname = current_database())
   AND pg_has_role(oid, 'MEMBER')
"""
STATE = """
SELECT current_user::text AS role, current_setting('is_superuser') AS superuser,
       current_setting('transaction_isolation') AS isolation, current_setting('transaction_read_only') AS read_only,
       current_setting('statement_timeout') AS statement_timeout, current_setting('lock_timeout') AS lock_timeout,
       current_setting('idle_in_transaction_session_timeout') AS idle_in_transaction_session_timeout
"""


class Session(Protocol):
    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]: ...
    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...


async def set_up(session: Session, *, name: str, role: str | None, limits: bool, address: DatabaseAddress) -> None:
    """Set limits, role and the rest; raises ConfigurationError if one of them is not in force afterwards."""
    wanted = ALWAYS | (LIMITS if limits else NO_LIMITS)
    settings = {"search_path": "public", **address.options, **wanted, "application_name": f"orderdeck {name}"}
    try:
        await session.fetch(SET, list(settings), list(settings.values()))
        if role is not None:
            role = await session.fetchval(OWN_ROLE, role) or role
            await session.fetchval("SELECT set_config('role', $1, false)", role)
    except asyncpg.PostgresError as error:
        if isinstance(error, (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)):
            raise
        # The statements above have no values but names of settings and roles, so its text is safe to show.
        fault = DatabaseFault("the session cannot be set up", str(getattr(error, "sqlstate", "")), str(error.args[0]))
        raise fault from error
    state = await session.fetchrow(STATE)
    expected = {"isolation": "read committed"}
    if limits:
        expected |= {limit: value for limit, value in LIMITS.items() if limit != "jit"}
    if role is not None:
        expected |= {"role": role, "superuser": "off"}
    for what, value in expected.items():
        if state is None or state[what] != value:
            raise ConfigurationError(
                f"the database, or a pooler before it, does not keep what a session sets ({what} is not {value}): "
                "give orderdeck a direct connection, or one with session pooling"
            )
