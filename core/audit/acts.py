"""Acts: what operators did to the readers of the log, as far as `verify` checks it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from core.codec import StoredEvent, decode
from core.domain.message import reader_stream
from core.domain.reader import DeadLetterSkipped, ReaderEvent
from core.ports.evidence import Finding


def wrong_act(stored: StoredEvent) -> Sequence[Finding]:
    """What is wrong with an event of a reader: it cannot be read, or lies in the stream of another one."""
    try:
        events = decode(stored.event_type, stored.schema_version, stored.payload)
    except Exception as error:  # noqa: BLE001 - any error is noted
        return [Finding("I2", f"{stored.event_type} cannot be read: {error}", stored.stream, stored.position)]
    if all(isinstance(each, ReaderEvent) and stored.stream == reader_stream(each.reader) for each in events):
        return []
    return [Finding("I2", f"{stored.event_type} lies in a stream of readers", stored.stream, stored.position)]


def skipped(stored: StoredEvent) -> Sequence[str]:
    """The sentence that says who vouched for it, if the act left an event out of a read model."""
    if stored.event_type != DeadLetterSkipped.__name__ or wrong_act(stored):
        return []
    return [
        f"{act.event_type} at position {act.position} is left out of {act.reader},"
        f" vouched for by {act.by}: {act.reason}"
        for act in decode(stored.event_type, stored.schema_version, stored.payload)
        if isinstance(act, DeadLetterSkipped)
    ]
