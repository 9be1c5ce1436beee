"""What a process does for the audit beside its work: it records its start, what it was asked for, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

from core.errors import OrderdeckError
from core.ports.audit import AuditEntry
from core.ports.daemon_runs import DaemonRun
from core.settings import Settings
from core.shown_settings import changed, shown_settings
from daemons.process.audit_recorder import FLUSH_EVERY, LAST_FLUSH, PART, AuditRecorder
from daemons.process.vitals import Vitals

if TYPE_CHECKING:
    from core.bootstrap_audit import Audit

LONGEST_DETAIL = 2_000
CUT_SOON = 5.0  # seconds after the start
CUT_EVERY = 3_600.0


async def keep_audit(recorder: AuditRecorder, settings: Settings, vitals: Vitals) -> None:
    """Record until cancelled, and then what still waits, and that this process ends."""
    from core.bootstrap_audit import open_audit  # noqa: PLC0415 - the payment sandbox has no database

    async with open_audit(settings, name=vitals.name) as audit:
        began = False
        try:
            began = await _begin(audit, settings, vitals)
            await asyncio.gather(recorder.keep(audit.trail, vitals), _cut(audit, settings))
        finally:
            await recorder.close(audit.trail)
            if began:
                with contextlib.suppress(TimeoutError, OrderdeckError, OSError):
                    async with asyncio.timeout(LAST_FLUSH):
                        await _end(audit, vitals)


async def _begin(audit: Audit, settings: Settings, vitals: Vitals) -> bool:
    """Record that this process starts, and what changed since its last run, as soon as the database is there."""
    while True:
        with vitals.beside(PART):
            before = await audit.runs.begin(
                vitals.process, socket.gethostname(), shown_settings(settings), version("orderdeck"), os.getpid()
            )
            await audit.trail.record([_entry("start", vitals, _since(before, settings))])
            return True
        await asyncio.sleep(FLUSH_EVERY)


async def _cut(audit: Audit, settings: Settings) -> None:
    """Leave out what is older than the settings say, soon and then every hour; the first process does it."""
    pause = CUT_SOON
    while settings.audit_days:
        await asyncio.sleep(pause)
        with contextlib.suppress(OrderdeckError, OSError):  # the next hour is early enough
            await audit.trail.cut(timedelta(days=settings.audit_days))
        pause = CUT_EVERY


async def _end(audit: Audit, vitals: Vitals) -> None:
    await audit.runs.end(vitals.process, socket.gethostname(), os.getpid())
    await audit.trail.record([_entry("stop", vitals, "")])


def _since(before: DaemonRun | None, settings: Settings) -> str:
    """What a person has to know of this start."""
    told = [f"release {version('orderdeck')}"]
    if before is None:
        return f"{told[0]}, for the first time"
    if before.version != version("orderdeck"):
        told[0] += f" after {before.version}"
    if before.ended_at is None and before.host == socket.gethostname():
        told.append("its run before ended without a goodbye: refusals of its last moments may be missing")
    if differs := changed(dict(before.settings), shown_settings(settings)):
        told.append("settings changed: " + ", ".join(differs))
    return "; ".join(told)[:LONGEST_DETAIL]


def _entry(action: str, vitals: Vitals, detail: str) -> AuditEntry:
    return AuditEntry(
        action=action,
        outcome="done",
        caller="daemon",
        source=socket.gethostname(),
        target=vitals.process,
        detail=detail,
    )
