"""Decides for every error of the driver whether it is an outage or a fault.

An outage passes by itself, so the caller is told to come back. A fault stays until a person mends it: for example a
missing column, a missing right or a wrong password.
"""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Generator

import asyncpg
from asyncpg import exceptions

from core.errors import DatabaseFault, OrderdeckError, Unavailable, ValuesRefused

AWAY = "the database is away"

# The connection is gone, and nobody knows whether the statement that ran on it was done.
_LOST = (
    OSError,  # it includes TimeoutError and refused connections
    # asyncpg raises it when the connection is cut while it prepares a statement, and when no server of the address is
    # in the wanted role, which lasts until a standby has been promoted.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    exceptions.DatabaseDroppedError,  # the next connection will say that the database does not exist
    asyncpg.IdleInTransactionSessionTimeoutError,
    exceptions.IdleSessionTimeoutError,
    exceptions.TransactionTimeoutError,
)
# The server cannot do it now. Nothing was done, and the connection can still be used.
_NOT_NOW = (
    asyncpg.InsufficientResourcesError,  # too many connections, no memory, a full disk: a person may have to make room
    asyncpg.QueryCanceledError,  # mostly by statement_timeout
    asyncpg.LockNotAvailableError,  # by lock_timeout
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)
# These look like a lost connection, but would occur again on a new one, so they are faults.
_FAULTS_OF_CONNECTIONS = (
    PermissionError,  # of the socket's folder
    ssl.SSLCertVerificationError,
    asyncpg.ProtocolViolationError,
    asyncpg.ProtocolError,
    asyncpg.OutdatedSchemaCacheError,
)
_NAMES_ONLY = {"28000", "28P01", "3D000", "3F000", "42501", "42703", "42704", "42883", "42P01"}
"""SQLSTATEs whose messages have only names of tables, columns, roles and databases, never values or statements."""


def connection_lost(error: BaseException | None) -> bool:
    """Whether the connection is gone, so that nobody knows whether the statement that ran on it was done."""
    if isinstance(error, asyncpg.InterfaceError):  # for a closed connection, but also for wrong arguments
        return "connection is closed" in str(error)
    return isinstance(error, _LOST) and not isinstance(error, asyncpg.ProtocolViolationError)


def translated(error: BaseException) -> OrderdeckError | None:
    """Our error for an error of the driver; None for an error that is not one of the driver."""
    if isinstance(error, _NOT_NOW):
        return Unavailable(f"the database cannot do it now: {_name(error)}")
    if connection_lost(error) and not isinstance(error, _FAULTS_OF_CONNECTIONS):
        return Unavailable(AWAY, logged=True)  # if it is an outage, whoever connects next logs it
    if isinstance(error, asyncpg.PostgresError):
        return _fault(error)
    if isinstance(error, (asyncpg.InterfaceError, *_FAULTS_OF_CONNECTIONS)):
        cannot_encode = isinstance(error, ValueError) and not isinstance(error, asyncpg.ClientConfigurationError)
        return ValuesRefused(_name(error)) if cannot_encode else DatabaseFault(_name(error))
    return None


@contextlib.contextmanager
def translating() -> Generator[None]:
    """Raise errors of the driver as ours, with the original error as the cause."""
    try:
        yield
    except Exception as error:
        ours = translated(error)
        if ours is None:
            raise
        raise ours from error


def _fault(error: asyncpg.PostgresError) -> DatabaseFault | ValuesRefused:
    sqlstate = str(getattr(error, "sqlstate", None) or "")
    # A FATAL error occurs before the first statement of a session, so its message cannot repeat a statement.
    harmless = sqlstate in _NAMES_ONLY or getattr(error, "severity_en", None) == "FATAL"
    about = str(error.args[0]) if harmless and error.args else ""
    if sqlstate[:2] in {"22", "23"} and not about:  # data exception, integrity constraint violation
        return ValuesRefused(_name(error), sqlstate)
    return DatabaseFault(_name(error), sqlstate, about)


def _name(error: BaseException) -> str:
    """The name of an error's class as words: UndefinedColumnError becomes "undefined column"."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+", type(error).__name__.removesuffix("Error"))
    return " ".join(word if word.isupper() else word.lower() for word in words) or type(error).__name__
