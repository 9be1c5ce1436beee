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

# These statements read no view of settings or roles, since to plan such a query costs each new session 5 ms of CPU.
OWN_ROLE = """
SELECT role FROM (SELECT $1 || '_' || oid AS role FROM pg_database WHERE datname = current_database()) AS own
 WHERE CASE WHEN to_regrole(role) IS NOT NULL THEN pg_has_role(to_regrole(role), 'MEMBER') END
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
        await session.fetch(_set(len(settings)), *(part for setting in settings.items() for part in setting))
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


def _set(count: int) -> str:
    """A statement that sets this many settings, each a name and a value; those that the server lacks are left out."""
    pairs = [(f"${2 * n + 1}::text", f"${2 * n + 2}::text") for n in range(count)]
    wanted = "current_setting({0}, true) IS NOT NULL AND ({0} <> 'synchronous_commit' OR current_setting({0}) = 'off')"
    return "SELECT " + ", ".join(
        f"CASE WHEN {wanted.format(name)} THEN set_config({name}, {value}, false) END" for name, value in pairs
    )
