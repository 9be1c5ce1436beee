"""Looks at a database before it is used. `migrate`, `doctor` and every daemon look in this way before they start.

What a person has to change is a ConfigurationError of one sentence, which says how. What passes by itself, such as a
database that is away, is Unavailable.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import asyncpg

from core.adapters.postgres.connection import Connection, address_of, open_connection
from core.adapters.postgres.driver_errors import translated
from core.adapters.postgres.migrate import schema_version
from core.adapters.postgres.session import OWN_ROLE, ROLE, set_up
from core.database_address import DatabaseAddress
from core.errors import ConfigurationError, LoginRefused, OrderdeckError, Unavailable

OLDEST = 15
"""The oldest PostgreSQL on which the tests of the adapters have passed."""

PATIENCE = 10  # seconds for one statement
ROUNDS = 3
POOLED = (
    "a pooler before the database gives each transaction another session (transaction pooling), and orderdeck needs "
    "a session for each connection: switch it to session pooling (pool_mode=session), or name the database's own port"
)
LOOK = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major,
       current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS standby,
       current_database()::text AS database, session_user::text AS user_name,
       (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) AS superuser
"""
MAY = """
SELECT coalesce(bool_and(pg_has_role(r.oid, 'MEMBER') AND has_function_privilege(r.oid, f.oid, 'EXECUTE')), false)
  FROM pg_roles r, to_regproc('append_events') AS f(oid)
 WHERE r.rolname = $1
"""


@dataclass(frozen=True)
class Look:
    """What was seen of a database that can be used; `may_append`: whether the daemons' role has its rights."""

    version: str
    database: str
    user: str
    superuser: bool
    pooled: bool
    schema: int
    role: str
    may_append: bool
    not_used: tuple[str, ...]


async def look_at(url: str, setting: str) -> Look:
    """Look at the database that `url`, the value of this setting, names.

    Raises ConfigurationError when it cannot be used as it is, LoginRefused when it lets us not in, and Unavailable.
    """
    address = address_of(url)
    try:
        connection = await open_connection(address, wait=PATIENCE, prepare=False)
        try:
            return await _look(connection, address)
        finally:
            connection.terminate()
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        OrderdeckError,
    ) as error:
        cause = error.__cause__ if isinstance(error, OrderdeckError) and error.__cause__ else error
        raise _explained(cause, address, setting) or translated(error) or error from cause


def must_suit_daemons(look: Look) -> None:
    """Raise ConfigurationError when the daemons must not log in as this user."""
    if look.superuser:
        raise ConfigurationError(
            f"{look.user} is a superuser, and no daemon of orderdeck logs in as one: put this address into "
            "ORDERDECK_OWNER_URL, and into DATABASE_URL the same with another user and password, such as "
            "orderdeck_daemon; `orderdeck migrate` makes that user"
        )


async def _look(connection: Connection, address: DatabaseAddress) -> Look:
    pooled = await _is_pooled(connection, address)
    await set_up(connection, name="preflight", role=None, limits=True, address=address)
    (row,) = await connection.fetch(LOOK)
    if row["major"] < OLDEST:
        raise ConfigurationError(
            f"the database is PostgreSQL {row['version']}, and orderdeck needs {OLDEST} or newer: upgrade it"
        )
    if row["encoding"] != "UTF8":
        raise ConfigurationError(
            f"the database {row['database']} has the encoding {row['encoding']}, and orderdeck needs UTF8: make a new "
            f"one, for example with `createdb --encoding UTF8 --template template0 {row['database']}_utf8`"
        )
    if row["standby"]:
        raise Unavailable(
            "this server is a standby, which only reads: name the primary, or all servers with "
            "target_session_attrs=read-write"
        )
    role = await connection.fetchval(OWN_ROLE, ROLE) or ROLE
    return Look(
        version=row["version"],
        database=row["database"],
        user=row["user_name"],
        superuser=row["superuser"],
        pooled=pooled,
        schema=await schema_version(connection),
        role=role,
        may_append=await connection.fetchval(MAY, role),
        not_used=address.not_used,
    )


async def _is_pooled(connection: Connection, address: DatabaseAddress) -> bool:
    """Whether a pooler is before the database; raises ConfigurationError if two connections may get one session."""
    try:
        if await _backend(connection) == connection.get_server_pid():
            return False
        other = await open_connection(address, wait=PATIENCE, prepare=False)
        try:
            seen = {(await _backend(connection), await _backend(other)) for _ in range(ROUNDS)}
        finally:
            other.terminate()
    except (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError):
        raise ConfigurationError(POOLED) from None
    except TimeoutError:
        raise Unavailable("the pooler before the database has no second connection: raise its pool_size") from None
    first, second = seen.pop()
    if seen or first == second:
        raise ConfigurationError(POOLED)
    return True


async def _backend(connection: Connection) -> int:
    await connection.execute("BEGIN")  # within a transaction, even a pooler that shares sessions keeps to one
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    await connection.execute("COMMIT")
    return int(pid)


def _explained(error: BaseException, address: DatabaseAddress, setting: str) -> ConfigurationError | None:
    """A sentence with the remedy, for an error that stays until a person changes something."""
    text = str(error.args[0]) if error.args else ""
    user, sqlstate = address.user or "your user", getattr(error, "sqlstate", None)
    mode = address.driver.get("sslmode", "prefer")
    if sqlstate == "28P01":
        return LoginRefused(f"the database does not take the password of {user}: correct it in {setting}")
    if sqlstate == "42501" and " for " in text and " for database " not in text:
        return LoginRefused(
            f"{user} has not the rights of a daemon ({text}): run `orderdeck migrate` as the owner of the tables, "
            f"whose address goes into ORDERDECK_OWNER_URL, or correct {setting}"
        )
    if sqlstate in {"28000", "3D000", "42501", "55000"}:
        return LoginRefused(f"the database does not let {user} in ({text}): correct {setting}, or let it in there")
    if "statement pooling" in text:
        return ConfigurationError(POOLED)
    refusals = ("no such", "not exist", "authentication", "login")
    if isinstance(error, asyncpg.ProtocolViolationError) and any(words in text for words in refusals):
        return LoginRefused(f"the pooler does not let {user} in ({text}): correct {setting}, or let it in there")
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in text:
        return ConfigurationError(
            f"the server offers no TLS, and sslmode={mode} wants it: switch on `ssl` there, or write sslmode=disable"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConfigurationError(
            f"the server's certificate is not trusted ({error.verify_message}): name the file of its authority by "
            f"sslrootcert, and with sslmode=verify-full the host as it stands in the certificate"
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return ConfigurationError(
            f"no TLS connection can be made ({error.reason or text}): "
            f"correct sslrootcert, sslcert and sslkey in {setting}"
        )
    if isinstance(error, asyncpg.ClientConfigurationError):
        return ConfigurationError(f"{setting} cannot be used: {text}")
    if isinstance(error, PermissionError):
        closed = (
            "the database's socket or its folder" if error.filename is None else "a file of certificates or passwords"
        )
        return ConfigurationError(f"{closed} is closed to the user of this program: correct {setting}")
    return None
