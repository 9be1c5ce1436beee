"""The ledger: a SQLite file with every charge and every answer; an answer is on disk before it is sent.

One thread writes. Requests that arrive while it commits all go into its next transaction, so they share one fsync.
When the process is killed, a request is either in the file together with its answer, or it is not there at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import msgspec
import structlog

from core.domain.money import decimals
from core.errors import KeyReused, Unavailable
from daemons.payment_sandbox.charges import (
    Authorise,
    ChargeAnswer,
    ChargeOutcome,
    ChargeRequest,
    ChargeState,
    SandboxCharge,
    as_of,
    decide,
)
from daemons.payment_sandbox.methods import life

SCHEMA = """
CREATE TABLE IF NOT EXISTS charges (
    id             INTEGER PRIMARY KEY,  -- the order in which they came
    payment_id     TEXT NOT NULL UNIQUE,
    order_id       TEXT NOT NULL,
    state          TEXT NOT NULL,
    currency       TEXT NOT NULL,
    payment_method TEXT NOT NULL,
    authorised     INTEGER NOT NULL,     -- cents, as SQLite has no decimals
    captured       INTEGER NOT NULL CHECK (captured <= authorised),
    refunded       INTEGER NOT NULL CHECK (refunded <= captured),
    expires_at     TEXT                  -- when the authorisation ends; NULL: never
) STRICT;
CREATE TABLE IF NOT EXISTS operations (
    key         TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,           -- of the request that first came with this key
    attempts    INTEGER NOT NULL,
    answer      BLOB                     -- NULL while every try was answered "not available"
) STRICT, WITHOUT ROWID;
"""
CHARGE = """
SELECT id, payment_id, order_id, state, currency, payment_method, expires_at, authorised, captured, refunded
  FROM charges
"""
PUT_CHARGE = """
INSERT INTO charges
       (payment_id, order_id, state, currency, payment_method, expires_at, authorised, captured, refunded)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (payment_id) DO UPDATE
SET order_id = excluded.order_id, state = excluded.state, currency = excluded.currency,
    payment_method = excluded.payment_method, expires_at = excluded.expires_at,
    authorised = excluded.authorised, captured = excluded.captured, refunded = excluded.refunded
"""
PUT_OPERATION = """
INSERT INTO operations (key, fingerprint, attempts, answer) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET attempts = excluded.attempts, answer = excluded.answer
"""
COLUMNS = "SELECT name FROM pragma_table_info('charges')"
ADD_EXPIRES_AT = "ALTER TABLE charges ADD COLUMN expires_at TEXT"  # a ledger of an earlier release lacks it
WEEK = 7 * 24 * 3600.0  # seconds
MOST_TOGETHER = 256  # requests in one transaction
TROUBLE_LASTS = 10.0  # seconds for which a commit that failed makes the sandbox not ready

_log = structlog.get_logger()


@dataclass(frozen=True)
class LedgerAnswer:
    """The answer to a request; `replayed`: it was in the ledger already."""

    answer: ChargeAnswer
    replayed: bool


@dataclass(frozen=True)
class _Waiting:
    key: str
    request: ChargeRequest
    done: asyncio.Future[LedgerAnswer]


class Ledger:
    """Open and use it on one event loop. `seconds`: how long an authorisation lasts."""

    def __init__(self, path: Path, seconds: float = WEEK) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._writes = _connect(path)
        self._writes.executescript(SCHEMA)
        if not _knows_expiry(self._writes):
            self._writes.execute(ADD_EXPIRES_AT)
        self._reads = _connect(path)
        self._trouble = ""
        self._trouble_until = 0.0
        self._writer = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._writer.start()

    def close(self) -> None:
        self._waiting.put(None)
        self._writer.join()
        self._writes.close()
        self._reads.close()

    async def execute(self, key: str, request: ChargeRequest) -> LedgerAnswer:
        """Decide and record the request, or repeat the answer of its key.

        Raises KeyReused when the key came with another request, Unavailable when nothing was recorded.
        """
        done: asyncio.Future[LedgerAnswer] = self._loop.create_future()
        self._waiting.put(_Waiting(key, request, done))
        return await done

    def look_up(self, key: str) -> ChargeAnswer | None:
        """The final answer that was given for a key; None when there is none."""
        row = self._reads.execute("SELECT answer FROM operations WHERE key = ?", (key,)).fetchone()
        return msgspec.json.decode(row[0], type=ChargeAnswer) if row and row[0] else None

    def charge(self, payment_id: UUID) -> SandboxCharge | None:
        return _charge(self._reads, payment_id)

    def charges(self, *, after: int, limit: int) -> Sequence[tuple[int, SandboxCharge]]:
        """At most `limit` charges with numbers above `after`, each with its number, in the order in which they came."""
        rows = self._reads.execute(f"{CHARGE} WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
        return [(row[0], _from_row(row)) for row in rows]

    async def why_not_ready(self) -> str | None:
        """Why the last commit failed, for TROUBLE_LASTS seconds.

        Not for longer: while the sandbox is not ready there may be no request whose commit could show that all is well.
        """
        return self._trouble if time.monotonic() < self._trouble_until else None

    # --- the writing thread -----------------------------------------------------------------------------------
    def _write_all(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            stop = False
            while len(batch) < MOST_TOGETHER and not self._waiting.empty():
                another = self._waiting.get()
                if another is None:
                    stop = True
                    break
                batch.append(another)
            self._loop.call_soon_threadsafe(_tell, batch, self._write(batch))
            if stop:
                return

    def _write(self, batch: Sequence[_Waiting]) -> Sequence[LedgerAnswer | Exception]:
        try:
            self._writes.execute("BEGIN IMMEDIATE")
            results = [self._decide(waiting.key, waiting.request) for waiting in batch]
            self._writes.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - this thread has to live on after any error, for the next requests
            if self._writes.in_transaction:
                self._writes.execute("ROLLBACK")
            self._trouble = f"the ledger cannot be written: {error}"
            self._trouble_until = time.monotonic() + TROUBLE_LASTS
            _log.error("ledger_not_written", requests=len(batch), exc_info=error)
            return [Unavailable(self._trouble)] * len(batch)
        self._trouble_until = 0.0
        return results

    def _decide(self, key: str, request: ChargeRequest) -> LedgerAnswer | Exception:
        fingerprint = hashlib.sha256(msgspec.json.encode(request)).digest()
        row = self._writes.execute(
            "SELECT fingerprint, attempts, answer FROM operations WHERE key = ?", (key,)
        ).fetchone()
        if row and row[0] != fingerprint:
            return KeyReused(key)
        if row and row[2]:
            return LedgerAnswer(msgspec.json.decode(row[2], type=ChargeAnswer), replayed=True)
        attempt = (row[1] if row else 0) + 1
        before = _charge(self._writes, request.payment_id)
        ends = self._end_of(request) if isinstance(request, Authorise) else None
        after, answer = decide(request, before, key=key, attempt=attempt, expires_at=ends)
        if after is not None and after != before:
            self._writes.execute(PUT_CHARGE, _to_row(after))
        stored = None if answer.outcome is ChargeOutcome.UNAVAILABLE else msgspec.json.encode(answer)
        self._writes.execute(PUT_OPERATION, (key, fingerprint, attempt, stored))
        return LedgerAnswer(answer, replayed=False)

    def _end_of(self, request: Authorise) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=life(request.payment_method, self._seconds))


def charges_in(path: Path) -> list[SandboxCharge]:
    """Every charge in this file of a ledger, which no sandbox needs to have open; raises sqlite3.Error."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        charges = CHARGE if _knows_expiry(db) else CHARGE.replace("expires_at", "NULL")
        return [_from_row(row) for row in db.execute(f"{charges} ORDER BY id")]
    finally:
        db.close()


def _tell(batch: Sequence[_Waiting], results: Sequence[LedgerAnswer | Exception]) -> None:
    for waiting, result in zip(batch, results, strict=True):
        if waiting.done.done():
            continue  # the client gave up waiting; the decision stays in the ledger
        if isinstance(result, Exception):
            waiting.done.set_exception(result)
        else:
            waiting.done.set_result(result)


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")  # with less than FULL, a power failure would lose charges already answered
    return db


def _charge(db: sqlite3.Connection, payment_id: UUID) -> SandboxCharge | None:
    row = db.execute(f"{CHARGE} WHERE payment_id = ?", (str(payment_id),)).fetchone()
    return _from_row(row) if row else None


def _knows_expiry(db: sqlite3.Connection) -> bool:
    return ("expires_at",) in db.execute(COLUMNS).fetchall()


def _from_row(row: Sequence[str | int | None]) -> SandboxCharge:
    """The charge of a row, as it is now."""
    _, payment_id, order_id, state, currency, payment_method, expires_at, *minor = row
    authorised, captured, refunded = (Decimal(each or 0).scaleb(-decimals(str(currency))) for each in minor)
    charge = SandboxCharge(
        payment_id=UUID(str(payment_id)),
        order_id=str(order_id),
        state=ChargeState(str(state)),
        currency=str(currency),
        payment_method=str(payment_method),
        authorised=authorised,
        captured=captured,
        refunded=refunded,
        expires_at=datetime.fromisoformat(str(expires_at)) if expires_at else None,
    )
    return as_of(charge, datetime.now(UTC))


def _to_row(charge: SandboxCharge) -> tuple[str | int | None, ...]:
    amounts = (charge.authorised, charge.captured, charge.refunded)
    minor = (int(amount.scaleb(decimals(charge.currency))) for amount in amounts)
    ids = (str(charge.payment_id), charge.order_id, charge.state, charge.currency, charge.payment_method)
    return (*ids, charge.expires_at and charge.expires_at.isoformat(), *minor)
