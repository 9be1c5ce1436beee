"""Acts: what operators did to the readers of the log and to customers, as far as `verify` checks it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from core.audit.case import of_a_newer_release
from core.codec import StoredEvent, decode
from core.domain.message import Event, StreamId, reader_stream
from core.domain.reader import DeadLetterSkipped, ReaderEvent
from core.domain.sealed_customer import CustomerErased, customer_stream
from core.ports.evidence import Finding


def newer_act(stored: StoredEvent) -> Sequence[str]:
    """The sentence that names it, if a newer release has recorded the act, so that this one cannot check it."""
    what = f"position {stored.position} has {of_a_newer_release(stored)}: whom it vouches for is not known here"
    return [what] if stored.newer else []


def wrong_act(stored: StoredEvent) -> Sequence[Finding]:
    """What is wrong with an event of a reader or a customer: it cannot be read, or lies in another one's stream."""
    if stored.newer:
        return []
    try:
        events = decode(stored.event_type, stored.schema_version, stored.payload)
    except Exception as error:  # noqa: BLE001 - any error is noted
        return [Finding("I2", f"{stored.event_type} cannot be read: {error}", stored.stream, stored.position)]
    if all(stored.stream == _stream_of(each) for each in events):
        return []
    return [Finding("I2", f"{stored.event_type} lies in a stream that is not its own", stored.stream, stored.position)]


def _stream_of(event: Event) -> StreamId | None:
    match event:
        case ReaderEvent(reader=reader):
            return reader_stream(reader)
        case CustomerErased(customer=customer):
            return customer_stream(customer)
        case _:
            return None


def skipped(stored: StoredEvent) -> Sequence[str]:
    """The sentence that says who vouched for it, if the act left an event out of a read model."""
    if stored.event_type != DeadLetterSkipped.__name__ or stored.newer or wrong_act(stored):
        return []
    return [
        f"{act.event_type} at position {act.position} is left out of {act.reader},"
        f" vouched for by {act.by}: {act.reason}"
        for act in decode(stored.event_type, stored.schema_version, stored.payload)
        if isinstance(act, DeadLetterSkipped)
    ]
