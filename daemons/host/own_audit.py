"""Records in the audit what is done on this machine without asking a service: keys, the schema, daemons."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.bootstrap_audit import open_audit
from core.errors import ConfigurationError, DatabaseFault, OrderdeckError, Unavailable, in_words
from core.home_key import CALLER as HOME
from core.ports.audit import AuditEntry, AuditNote
from core.settings import Settings
from daemons.host.actor import actor

WITHIN = 5.0  # seconds in which the database must take a row


@asynccontextmanager
async def recorded(settings: Settings, action: str) -> AsyncGenerator[AuditNote]:
    """Record what is done within the block, also when it is refused, unless its work has recorded it itself.

    Raises Unavailable and DatabaseFault when it was done and the row is not recorded.
    """
    note = _note(action)
    try:
        yield note
    except OrderdeckError as error:
        if not note.kept and not isinstance(error, (Unavailable, DatabaseFault, ConfigurationError)):
            await _record(settings, note.entry("refused", problem=type(error).__name__))
        raise
    if not note.kept:
        await _record(settings, note.entry())


def record_act(settings: Settings, action: str, target: str = "") -> str | None:
    """Record what was done, or is about to be. Returns why that was not possible, if it was not."""
    note = _note(action)
    note.target = target
    try:
        asyncio.run(_record(settings, note.entry()))
    except OrderdeckError as error:
        return f"{action} is not in the audit: {in_words(error)}"
    return None


def _note(action: str) -> AuditNote:
    """Whoever may use the database is the caller that has the key of the home."""
    return AuditNote(action=action, caller=HOME, on_behalf_of=actor(), source=socket.gethostname())


async def _record(settings: Settings, entry: AuditEntry) -> None:
    try:
        async with asyncio.timeout(WITHIN), open_audit(settings, name="audit") as audit:
            await audit.trail.record([entry])
    except TimeoutError:
        raise Unavailable(f"the database did not take it within {WITHIN:.0f} s") from None
