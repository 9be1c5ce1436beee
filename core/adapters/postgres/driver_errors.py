"""Sorts every error of the driver, in this one place, into outages and faults.

An outage passes by itself, so whoever meets one is told to come back. A fault stays until a person mends it: a column
that is missing, a right that was not granted, a wrong password.
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

# The connection is gone, and whatever was under way on it may or may not have happened.
_LOST = (
    OSError,  # TimeoutError and refused connections among them
    asyncpg.InternalClientError,  # asyncpg raises it when the connection is cut while it prepares a statement
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    exceptions.DatabaseDroppedError,  # the next connection will say that the database does not exist
    asyncpg.IdleInTransactionSessionTimeoutError,
    exceptions.IdleSessionTimeoutError,
    exceptions.TransactionTimeoutError,
)
# The server answered: not now. Nothing was done, and the connection can go on.
_NOT_NOW = (
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,  # mostly by statement_timeout
    asyncpg.LockNotAvailableError,  # by lock_timeout
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)
# Errors that look like a lost connection, and will be the same on the next one.
_FAULTS_ALL_THE_SAME = (
    PermissionError,  # of the socket's folder
    ssl.SSLCertVerificationError,
    asyncpg.ProtocolViolationError,
    asyncpg.ProtocolError,
    asyncpg.OutdatedSchemaCacheError,
    asyncpg.TargetServerAttributeNotMatched,
)
_NAMES_ONLY = {"28000", "28P01", "3D000", "3F000", "42501", "42703", "42704", "42883", "42P01"}
"""SQLSTATEs whose messages hold names of tables, columns, roles and databases, and never a value or a statement."""


def connection_lost(error: BaseException | None) -> bool:
    """Whether the connection is gone, so that nobody knows what became of the statement that was under way."""
    if isinstance(error, asyncpg.InterfaceError):  # the driver's word for a closed connection and for wrong arguments
        return "connection is closed" in str(error)
    return isinstance(error, _LOST) and not isinstance(error, asyncpg.ProtocolViolationError)


def translated(error: BaseException) -> OrderdeckError | None:
    """Unavailable, DatabaseFault or ValuesRefused; None for an error that is not the driver's."""
    if isinstance(error, _NOT_NOW):
        return Unavailable(f"the database cannot do it now: {_name(error)}")
    if connection_lost(error) and not isinstance(error, _FAULTS_ALL_THE_SAME):
        return Unavailable(AWAY)
    if isinstance(error, asyncpg.PostgresError):
        return _fault(error)
    if isinstance(error, (asyncpg.InterfaceError, *_FAULTS_ALL_THE_SAME)):
        cannot_encode = isinstance(error, ValueError) and not isinstance(error, asyncpg.ClientConfigurationError)
        return ValuesRefused(_name(error)) if cannot_encode else DatabaseFault(_name(error))
    return None


@contextlib.contextmanager
def translating() -> Generator[None]:
    """Raise the driver's errors as ours; the original is the cause."""
    try:
        yield
    except Exception as error:
        ours = translated(error)
        if ours is None:
            raise
        raise ours from error


def _fault(error: asyncpg.PostgresError) -> DatabaseFault | ValuesRefused:
    sqlstate = str(getattr(error, "sqlstate", None) or "")
    # A FATAL error ends a session that has not begun, so there was no statement yet that its message could quote.
    harmless = sqlstate in _NAMES_ONLY or getattr(error, "severity_en", None) == "FATAL"
    about = str(error.args[0]) if harmless and error.args else ""
    if sqlstate[:2] in {"22", "23"} and not about:  # data exception, integrity constraint violation
        return ValuesRefused(_name(error), sqlstate)
    return DatabaseFault(_name(error), sqlstate, about)


def _name(error: BaseException) -> str:
    """The name of an error's class as words: UndefinedColumnError is "undefined column"."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+", type(error).__name__.removesuffix("Error"))
    return " ".join(word if word.isupper() else word.lower() for word in words) or type(error).__name__
