"""What tests of the log need: short appends, a connection that holds its lock, a proxy that can be cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import asyncpg
from uuid_utils.compat import uuid7

from core.domain.inventory import StockReplenished
from core.domain.message import Metadata, OrderId, SagaId, Sku, StreamId
from core.ports.log import Answer, Append, Entry, KeptAnswer, NewEvent, Result, SagaRow

LOCK = 7236833


def stream() -> StreamId:
    return StreamId(uuid4())


def an_event(quantity: int = 1, sku: str = "SKU-1") -> NewEvent:
    return NewEvent(uuid7(), StockReplenished(sku=Sku(sku), quantity=quantity), Metadata(correlation_id=UUID(int=1)))


def entry(at: StreamId, expected: int = 0, events: int = 1) -> Entry:
    return Entry(at, "inventory", expected, [an_event(n) for n in range(1, events + 1)])


def append(*entries: Entry, key: str | None = None, sagas: Sequence[SagaRow] = ()) -> Append:
    return Append(entries, sagas=sagas, key=a_key(key) if key else None)


def a_key(key: str, fingerprint: bytes = b"f", **fields: Any) -> KeptAnswer:
    return KeptAnswer("scope", key, fingerprint, Answer(Result.DONE, UUID(int=9), 3, None, fields))


def saga_row(saga_id: UUID, epoch: int, **other: Any) -> SagaRow:
    row: dict[str, Any] = {
        "name": "fulfil_order", "definition": 1, "order_id": OrderId(UUID(int=7)), "owner": None, "status": "RUNNING",
        "step": "reserve_inventory", "attempts": 0, "last_error": None, "due_in": None,
    }  # fmt: skip
    return SagaRow(saga_id=SagaId(saga_id), epoch=epoch, **{**row, **other})


@asynccontextmanager
async def log_held(dsn: str) -> AsyncIterator[HeldLog]:
    """Hold the lock of the log: until `release` or the end of the block no append goes on."""
    connection = await asyncpg.connect(dsn)
    held = HeldLog(connection)
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        yield held
    finally:
        await connection.close()


class HeldLog:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def waiting(self, *, but: int = 0) -> int:
        """Wait until a backend other than `but` waits to append, and return its process id."""
        async with asyncio.timeout(60):
            while True:
                pid = await self._connection.fetchval(
                    "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database"
                    " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database() AND pid <> $1",
                    but,
                )
                if pid:
                    return int(pid)
                await asyncio.sleep(0.01)

    async def waits(self, pid: int) -> bool:
        return bool(
            await self._connection.fetchval("SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted", pid)
        )

    async def record(self, at: StreamId, columns: Sequence[Any]) -> None:
        """Write the first event of the log over the connection that holds the lock."""
        await self._connection.execute(
            "INSERT INTO events VALUES (1, $1, 'inventory', 1, $2, $3, $4, $5, $6, $7, clock_timestamp())", at, *columns
        )

    async def terminate(self, pid: int) -> None:
        await self._connection.execute("SELECT pg_terminate_backend($1)", pid)

    async def release(self) -> None:
        await self._connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


class Wire:
    """A proxy to the server that can lose the next answer, or refuse every connection."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._lose = False
        self._away = False
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.lost = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def dsn(self, direct: str) -> str:
        """The DSN of the same database through this proxy."""
        user, _, rest = direct.removeprefix("postgresql://").partition("@/")
        return f"postgresql://{user}@127.0.0.1:{self.port}/{rest.partition('?')[0]}?sslmode=disable"

    def lose_next_answer(self) -> None:
        self._lose = True

    def go_away(self) -> None:
        self._away = True
        self.cut()

    def come_back(self) -> None:
        self._away = False

    def cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        if self._away:
            self.cut()
            return
        from_server, to_server = await asyncio.open_unix_connection(str(self._socket))
        self._open.add(to_server)
        for source, target, answers in ((reader, to_server, False), (from_server, writer, True)):
            task = asyncio.create_task(self._pump(source, target, answers=answers))
            self._pumps.add(task)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool) -> None:
        while data := await source.read(1 << 16):
            if answers and self._lose:
                self._lose = False
                self.lost += 1
                self.cut()
                return
            target.write(data)
        target.close()
