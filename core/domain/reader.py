"""The events of a reader of the log: what operators did to it, each with who did it and why.

Every reader has one stream, whose id is derived from the reader's name. What readers do by themselves is not recorded.
"""

from __future__ import annotations

from uuid import UUID

from core.domain.message import Event, StreamId

CATEGORY = "reader"


class ReaderEvent(Event, frozen=True, kw_only=True):
    """`reader` is the name of the reader's checkpoint, and `by` the operator."""

    reader: str
    by: str
    reason: str


class DeadLetterEvent(ReaderEvent, frozen=True, kw_only=True):
    """An act on one event that the reader has set aside: its id, and where it stands in the log."""

    event_id: UUID
    event_type: str
    stream: StreamId
    version: int
    position: int


class DeadLetterRetried(DeadLetterEvent, tag="DeadLetterRetried", frozen=True, kw_only=True):
    """The reader tries the event again, and then those that wait behind it."""


class DeadLetterSkipped(DeadLetterEvent, tag="DeadLetterSkipped", frozen=True, kw_only=True):
    """The reader leaves the event out for ever, and goes on with those that wait behind it."""


class RebuildStarted(ReaderEvent, tag="RebuildStarted", frozen=True, kw_only=True):
    """The reader's read models are made anew from the first event, beside those that are read."""


class RebuildCancelled(ReaderEvent, tag="RebuildCancelled", frozen=True, kw_only=True):
    """What is being made anew is given up."""


class RebuildSwitchedBack(ReaderEvent, tag="RebuildSwitchedBack", frozen=True, kw_only=True):
    """The read models of before the last rebuild are brought up to date, and read again."""


class OldReadModelsDropped(ReaderEvent, tag="OldReadModelsDropped", frozen=True, kw_only=True):
    """The read models of before the last rebuild are thrown away."""


EVENTS: tuple[type[ReaderEvent], ...] = (
    DeadLetterRetried,
    DeadLetterSkipped,
    RebuildStarted,
    RebuildCancelled,
    RebuildSwitchedBack,
    OldReadModelsDropped,
)
