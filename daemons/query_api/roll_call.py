"""The roll call: asks every daemon of this configuration, at its own port, whether it is ready.

It asks at most once a second, however many callers there are, and never waits long for a daemon that does not answer.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from core.errors import OrderdeckError, in_words
from core.ports.generations import Generations
from core.ports.queries import Queries
from core.ports.reading import ReaderProgress
from core.ports.shares import Share, Shares
from core.printable import clean
from core.settings import Settings, reachable
from daemons.process.process_counts import current_counts
from daemons.process.program_list import PROGRAMS, ProgramProcess, all_processes
from daemons.process.vitals import Vitals, service_of
from daemons.query_api.answers import Lag, ReaderRow
from daemons.query_api.owners import Hold, OwnerRow, by_owner

if TYPE_CHECKING:
    import httpcore

WITHIN = 2.0  # seconds in which a daemon, or the database, has to answer
KEPT = 1.0  # seconds for which an answer is given again
LONGEST_ANSWER = 64 * 1024  # bytes; a daemon's own answer has some hundred
LONGEST_REASON = 500  # characters
AT_ONCE = 32  # daemons that are asked at the same time
RELAY = "relay"  # its reader of the log
POSTGRES = ProgramProcess(PROGRAMS[0])


class DaemonRow(Struct, kw_only=True):
    """What a daemon said of itself when it was asked.

    `answers`: it said something. `uptime` are the seconds since its start; `pid` is its process on the machine of the
    query API. `readers` are the readers of the log in it, and `lag` is that of the slowest; without an answer of the
    database they are not known, and `lag` is null. Of several processes of a `program` each has the readers that it
    holds a share of. `holds` and `sagas`: what it alone does among the processes of all machines. `degraded`: what does
    not work at present although it is ready.
    """

    name: str
    program: str
    port: int | None
    answers: bool
    ready: bool
    reason: str
    pid: int | None
    uptime: float | None
    version: str | None
    lag: Lag | None
    readers: list[ReaderRow]
    holds: list[Hold]
    sagas: int
    degraded: str = ""


class FrozenCopy(Struct, kw_only=True):
    """Kafka's copy of the log, which ends at `position`, while the log has so many `events` more."""

    position: int
    events: int


class DaemonList(Struct, kw_only=True):
    """Every process of the home that the query API runs in, in the order of their start.

    `elsewhere`: those of other machines or homes that hold something in the same database, and those that have ended
    and whose leases have not. `frozen_copy` is there when events were copied to Kafka once and KAFKA_BROKERS is not set
    here any more, so that other readers of the topics see no event that comes now.
    """

    daemons: list[DaemonRow]
    elsewhere: list[OwnerRow]
    asked_at: datetime
    frozen_copy: FrozenCopy | None = None


class _Said(Struct):
    """The answer of a daemon to /ready."""

    service: str
    status: str
    process: str = ""
    reason: str = ""
    degraded: str = ""
    version: str | None = None
    pid: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    uptime: Annotated[float, Meta(ge=0, le=1e12)] | None = None


class RollCall:
    def __init__(
        self, settings: Settings, vitals: Vitals, queries: Queries, shares: Shares, generations: Generations
    ) -> None:
        self._settings = settings
        self._vitals = vitals
        self._queries = queries
        self._shares = shares
        self._generations = generations
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._asking: asyncio.Task[DaemonList] | None = None
        self._asked = 0.0  # by the monotonic clock
        self._pids: dict[str, int] = {}  # the last process of each name that has answered

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        if self._pool is not None:
            await self._pool.aclose()

    async def take(self) -> DaemonList:
        """How every daemon is now, or was less than KEPT seconds ago; callers at the same time share one asking."""
        now = time.monotonic()
        if self._asking is None or self._asking.cancelled() or (self._asking.done() and now - self._asked > KEPT):
            self._asking, self._asked = asyncio.create_task(self._ask_all()), now
        return await asyncio.shield(self._asking)  # a caller who goes away must not end it for the others

    async def _ask_all(self) -> DaemonList:
        asked_at = datetime.now(UTC)
        processes = [each for each in all_processes(current_counts(self._settings)) if each.program.port is not None]
        (wrong, known), said = await asyncio.gather(self._in_database(), asyncio.gather(*map(self._ask, processes)))
        database = _row(POSTGRES, None, answers=known is not None, ready=known is not None, reason=wrong)
        rows = [database, *said]
        if known is None:
            return DaemonList(daemons=rows, elsewhere=[], asked_at=asked_at)
        progress, owners, relayed = known
        here = socket.gethostname()
        for row in rows:
            if row.pid is not None:
                self._pids[row.name] = row.pid
            pid = self._pids.get(row.name)  # one that hangs holds what it held until its leases end
            for owner in [name for name, each in owners.items() if (each.host, each.pid) == (here, pid)]:
                held = owners.pop(owner)
                row.holds, row.sagas = [*row.holds, *held.holds], row.sagas + held.sagas
            row.readers = [_reader(reader) for reader in progress if _reads(row, reader.reader)]
            row.lag = max((reader.lag for reader in row.readers), key=lambda lag: lag.seconds, default=None)
        head = max((reader.head for reader in progress), default=relayed)
        frozen = FrozenCopy(position=relayed, events=max(0, head - relayed)) if relayed else None
        return DaemonList(daemons=rows, elsewhere=list(owners.values()), asked_at=asked_at, frozen_copy=frozen)

    async def _in_database(self) -> tuple[str, tuple[Sequence[ReaderProgress], dict[str, OwnerRow], int] | None]:
        """How far the readers of the log are, who holds what, and up to where a relay that has ended has copied.

        Or why the database does not say it.
        """
        try:
            async with asyncio.timeout(WITHIN):
                progress = await self._queries.progress()
                building = await self._generations.unfinished()
                shares = await self._shares.read()
                owners = by_owner(shares, await self._queries.saga_owners(), building)
                return "", (progress, owners, self._relayed(shares))
        except TimeoutError:
            return f"the database has not answered within {WITHIN:g} s", None
        except OrderdeckError as error:
            return in_words(error), None

    def _relayed(self, shares: Sequence[Share]) -> int:
        """The last position that a relay has copied to Kafka; 0 if none ever has, or one is to copy more."""
        if self._settings.kafka_brokers:
            return 0
        return next((share.position for share in shares if share.reader == RELAY and not share.owner), 0)

    async def _ask(self, process: ProgramProcess) -> DaemonRow:
        if process.name == self._vitals.process:
            _, said = await self._vitals.ready()
            return _told(process, process.port(self._settings), msgspec.convert(said, _Said))
        port = process.port(self._settings)
        place = f"{reachable(self._settings.host)}:{port}"
        try:
            async with asyncio.timeout(WITHIN):
                body = await self._get(f"http://{place}/ready", port)
            said = msgspec.json.decode(body, type=_Said)
        except TimeoutError:
            return _row(process, port, reason=f"has not answered within {WITHIN:g} s at {place}")
        except _no_answer():
            return _row(process, port, reason=f"does not answer at {place}")
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors too
            return _row(process, port, reason=f"what answers at {place} is no daemon of orderdeck")
        return _told(process, port, said)

    async def _get(self, url: str, port: int | None) -> bytes:
        import httpcore  # noqa: PLC0415 - only who looks at the daemons needs it

        from core.cut_connections import MadeConnections  # noqa: PLC0415 - it needs httpcore

        if self._pool is None:  # no connection is kept, so that a daemon that starts again is not taken for gone
            self._pool = httpcore.AsyncConnectionPool(
                max_connections=AT_ONCE, max_keepalive_connections=0, network_backend=MadeConnections()
            )
        body = b""
        async with self._pool.stream("GET", url, headers=self._vitals.shown_at(port)) as response:
            async for part in response.aiter_stream():
                body += part
                if len(body) > LONGEST_ANSWER:
                    raise ValueError("too long")
        return body


def _no_answer() -> tuple[type[Exception], ...]:
    import httpcore  # noqa: PLC0415 - as above

    return httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError


def _told(process: ProgramProcess, port: int | None, said: _Said) -> DaemonRow:
    if said.service != service_of(process.program.name):
        other = clean(said.service, 40)
        return _row(process, port, reason=f"at its port answers another program, {other}")
    if said.process and said.process != process.name:
        return _row(process, port, reason=f"at its port answers {clean(said.process, 40)}")
    ready = said.status == "ready"
    reason = "" if ready else clean(said.reason, LONGEST_REASON) or "does not say why"
    row = _row(process, port, answers=True, ready=ready, reason=reason)
    row.pid, row.uptime, row.version = said.pid, said.uptime, clean(said.version, 40) if said.version else None
    row.degraded = clean(said.degraded, LONGEST_REASON) if ready else ""
    return row


def _row(
    process: ProgramProcess, port: int | None, *, reason: str, answers: bool = False, ready: bool = False
) -> DaemonRow:
    return DaemonRow(
        name=process.name,
        program=process.program.name,
        port=port,
        answers=answers,
        ready=ready,
        reason=reason,
        pid=None,
        uptime=None,
        version=None,
        lag=None,
        readers=[],
        holds=[],
        sagas=0,
    )


def _reads(row: DaemonRow, reader: str) -> bool:
    """Whether a reader of the log is in this process: in the only one of its program, or in each that holds a share."""
    program, _, part = reader.partition(".")
    if program != row.program or row.name == row.program:
        return program == row.program
    return any(
        hold.reader == reader or (hold.reader == program and (not part or part in hold.what.split(", ")))
        for hold in row.holds
    )


def _reader(reader: ReaderProgress) -> ReaderRow:
    lag = Lag(events=reader.head - reader.position, seconds=round(reader.behind, 3))
    return ReaderRow(name=reader.reader, position=reader.position, lag=lag)
