"""Set aside: what a fold does with an event that it cannot apply, and with the events that wait behind it. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from uuid import UUID

from core.codec import UNREADABLE, EventDamaged, StoredEvent
from core.domain.message import StreamId
from core.errors import EventNotApplied, UnknownEvent, ValuesRefused
from core.ports.dead_letters import MOST_BLOCKED, Parked
from core.ports.sagas import READER as SAGA_RUNNER
from core.ports.sagas import UnreadEvent

LONGEST_ERROR = 500  # characters
VALUES = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # ids
    r"|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[0-9]+(?:\.[0-9]+)?"
)
"""What differs between errors of the same cause: ids, quoted values and numbers."""


class SetAside:
    """What one fold sets aside. `blocked` are the rows that waited before it, `skipped` the ids of events to leave out.

    `parked` has by row the first event of this fold that could not be applied.
    """

    def __init__(self, blocked: Collection[StreamId] = (), skipped: Collection[UUID] = ()) -> None:
        self._blocked = blocked
        self._skipped = skipped
        self.parked: dict[StreamId, Parked] = {}
        self.has_any = bool(blocked or skipped)  # whether any event has to be asked about

    def waits(self, row: StreamId) -> bool:
        return (bool(self._blocked) and row in self._blocked) or (bool(self.parked) and row in self.parked)

    def leaves_out(self, stored: StoredEvent) -> bool:
        return bool(self._skipped) and stored.event_id in self._skipped

    def park(self, row: StreamId, stored: StoredEvent, error: Exception) -> None:
        """Set an event aside. Raises EventNotApplied if too many rows wait already."""
        known = self.parked.get(row)
        if known is not None and known.event.position <= stored.position:
            return
        if known is None and len(self._blocked) + len(self.parked) > MOST_BLOCKED:
            why = f"{in_words(error)}; more than {MOST_BLOCKED} streams wait behind such events, so the reader stops"
            raise EventNotApplied(stored.position, stored.event_type, why) from error
        self.parked[row] = parked(row, stored, error)
        self.has_any = True


def parked(row: StreamId, stored: StoredEvent, error: Exception) -> Parked:
    cause = error.__cause__ if isinstance(error, EventNotApplied) and isinstance(error.__cause__, Exception) else error
    words = in_words(error)
    fingerprint = fingerprint_of(f"{stored.category} {stored.event_type} {stored.schema_version}", words)
    return Parked(row, stored, words, fingerprint, not isinstance(cause, (*UNREADABLE, ValuesRefused)))


def unread(error: UnknownEvent | EventDamaged) -> UnreadEvent:
    """The event because of which a saga cannot be read."""
    words = in_words(error)
    later = isinstance(error, UnknownEvent)
    shown = f"waits for a later release: {words}" if later else f"{error.event_type} cannot be read: {words}"
    fingerprint = fingerprint_of(f"{SAGA_RUNNER} {error.event_type} {error.schema_version}", words)
    return UnreadEvent(error.position, words, fingerprint, shown)


def fingerprint_of(what: str, words: str) -> str:
    same = f"{what} {VALUES.sub('*', words)}"
    return hashlib.sha256(same.encode("utf-8", "replace")).hexdigest()[:12]


def in_words(error: Exception) -> str:
    """The error as one line of limited length, in letters that the database can store."""
    cause = error.__cause__ if isinstance(error, EventNotApplied) and isinstance(error.__cause__, Exception) else error
    text = str(cause) if isinstance(cause, UNREADABLE) else f"{type(cause).__name__}: {cause}"
    printable = "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST_ERROR])
    return printable.encode("utf-8", "replace").decode()
