"""Records in the audit what a process was asked for, some at a time and beside its answers, so that no answer waits.

A command that recorded events has its row together with them. All else goes through here: what was refused, and what
changed nothing. Equal ones are rows of their own up to a number in a minute, and are counted in one row beyond it, so
that a flood from outside makes few rows. A process that is killed loses those of its last quarter of a second, and the
counts of its last minute; the row of its next start says that it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import NamedTuple

from msgspec.structs import replace
from prometheus_client import Counter, Gauge

from core.errors import OrderdeckError
from core.ports.audit import AuditEntry, AuditTrail
from daemons.process.vitals import Vitals

FLUSH_EVERY = 0.25  # seconds
COUNT_FOR = 60.0  # seconds for which equal ones are counted together
OF_A_CALLER = 60  # equal ones of somebody who has shown a key that are rows of their own
OF_A_STRANGER = 1
ROOM = 5_000  # rows that wait while the database is away
MOST_GROUPS = 200  # kinds that are told apart within COUNT_FOR; the addresses of strangers have no end
AT_ONCE = 200
LAST_FLUSH = 2.0  # seconds that a stopping process gives its last rows
PART = "the audit"  # its name on the FaultBoard
OTHERS = "many others"

RECORDED = Counter("orderdeck_audit_recorded", "Rows of the audit that this process recorded beside its answers.")
LEFT_OUT = Counter("orderdeck_audit_left_out", "Rows that are missing in the audit, because too many waited for it.")
WAITING = Gauge("orderdeck_audit_queue_length", "Rows that wait in this process until they are recorded.")


class _Group(NamedTuple):
    """How many equal ones there were in this minute, and how many of them are counted and not rows of their own."""

    seen: int
    counted: int


class AuditRecorder:
    def __init__(self) -> None:
        self._rows: deque[AuditEntry] = deque()
        self._groups: dict[AuditEntry, _Group] = {}
        self._some_wait = asyncio.Event()
        self._left_out = 0
        self._counting_since = time.monotonic()

    def note(self, entry: AuditEntry, *, stranger: bool = False) -> None:
        """Have this recorded soon. A `stranger` has shown no key that is valid here, or asks for what there is not."""
        kind = replace(entry, target="", request_id="", detail="")
        if kind not in self._groups and len(self._groups) >= MOST_GROUPS:
            kind = AuditEntry(action=OTHERS, outcome=entry.outcome, source=OTHERS)
        seen, counted = self._groups.get(kind, (0, 0))
        alone = kind.source != OTHERS and seen < (OF_A_STRANGER if stranger else OF_A_CALLER)
        self._groups[kind] = _Group(seen + 1, counted + (not alone))
        if alone:
            self._wait(entry)

    def _wait(self, entry: AuditEntry) -> None:
        self._some_wait.set()
        if len(self._rows) >= ROOM:
            self._left_out += 1
            LEFT_OUT.inc()
        else:
            self._rows.append(entry)
            WAITING.set(len(self._rows))

    async def keep(self, audit: AuditTrail, vitals: Vitals) -> None:
        """Record what waits, until cancelled. While the database is away it goes on waiting."""
        while True:
            left = self._counting_since + COUNT_FOR - time.monotonic()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._some_wait.wait(), max(0.0, left))
            await asyncio.sleep(FLUSH_EVERY)
            if time.monotonic() - self._counting_since > COUNT_FOR:
                self._close_groups()
            with vitals.beside(PART):
                await self._flush(audit)
                self._some_wait.clear()  # and no await since the last look whether some wait

    async def close(self, audit: AuditTrail) -> None:
        """Record what still waits, as far as the database takes it at once."""
        self._close_groups()
        with contextlib.suppress(TimeoutError, OrderdeckError, OSError):
            async with asyncio.timeout(LAST_FLUSH):
                await self._flush(audit)

    def _close_groups(self) -> None:
        self._counting_since = time.monotonic()
        groups, self._groups = self._groups, {}
        for kind, group in groups.items():
            if group.counted:
                self._wait(replace(kind, times=group.counted, detail="more of the same within a minute"))

    async def _flush(self, audit: AuditTrail) -> None:
        while self._rows or self._left_out:
            batch = [self._rows[n] for n in range(min(AT_ONCE, len(self._rows)))]
            lost = self._left_out if len(batch) == len(self._rows) else 0
            if lost:
                detail = "the database did not take them in time, and no more could wait"
                batch.append(AuditEntry(action="left out of the audit", outcome="failed", times=lost, detail=detail))
            await audit.record(batch)
            for _ in range(len(batch) - bool(lost)):
                self._rows.popleft()
            self._left_out -= lost
            RECORDED.inc(len(batch))
            WAITING.set(len(self._rows))
