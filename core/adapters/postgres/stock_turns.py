"""Turns at the stock in PostgreSQL: a lock that ends with its transaction, which may not be idle for long."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from core.adapters.postgres.connection import Connection, Link
from core.errors import DatabaseFault, Unavailable

# Who waits for longer than the first limit goes on without a turn. By the second one the server takes the turn away
# from a process that is frozen or that the network has cut off. It is one string, so that it takes one round trip.
TAKE = """
BEGIN;
SET LOCAL lock_timeout = '1s';
SET LOCAL idle_in_transaction_session_timeout = '1s';
SELECT pg_advisory_xact_lock(hashtext('turns'), hashtext('stock'))
"""


class PostgresStockTurns:
    """See `core.ports.stock_turns.StockTurns`. One block at a time may take one."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._link = Link(open_)

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[None]:
        taken = True
        try:
            await self._link.once(lambda c: c.execute(TAKE))
        except (Unavailable, DatabaseFault):
            taken = False
            self._link.drop()  # its transaction may be open
        try:
            yield
        finally:
            if taken:
                with contextlib.suppress(
                    Unavailable, DatabaseFault
                ):  # then the session has ended, and the turn with it
                    await self._link.once(lambda c: c.execute("COMMIT"))

    def close(self) -> None:
        self._link.close()
