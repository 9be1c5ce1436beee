"""What operators did to readers: verify notes what cannot be so, and lists what they vouch for."""

from __future__ import annotations

from uuid import UUID

import pytest
from msgspec.structs import replace

from core import codec
from core.audit.acts import newer_act, skipped, wrong_act
from core.codec import StoredEvent
from core.domain.message import Event, StreamId, reader_stream
from core.domain.reader import DeadLetterSkipped, ReaderEvent
from core.domain.sealed_customer import CustomerErased
from tests.support.pinned import PINNED
from tests.support.stored_events import stored_events

ACTS = [event for event in PINNED if isinstance(event, ReaderEvent)]


def as_stored(event: Event) -> StoredEvent:
    [stored] = stored_events([event])
    return stored


@pytest.mark.parametrize("act", ACTS)
def test_an_act_in_the_stream_of_its_reader_is_right(act: ReaderEvent) -> None:
    stored = as_stored(act)
    assert (stored.category, stored.stream) == ("reader", reader_stream(act.reader))
    assert wrong_act(stored) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stream": StreamId(UUID(int=7))}, "lies in a stream that is not its own"),
        (
            {"event_type": "OrderConfirmed", "payload": codec.encode(PINNED[1]).decode()},
            "lies in a stream that is not its own",
        ),
        ({"schema_version": 0}, "cannot be read"),
        ({"payload": "{}"}, "cannot be read"),
        ({"event_type": "ReaderPraised"}, "cannot be read"),
    ],
)
def test_verify_notes_an_act_that_lies_elsewhere_or_cannot_be_read(changes: dict[str, object], words: str) -> None:
    stored = replace(as_stored(ACTS[0]), **changes)
    [finding] = wrong_act(stored)
    assert finding.invariant == "I2"
    assert words in finding.what
    assert skipped(stored) == []


@pytest.mark.parametrize("act", [event for event in PINNED if isinstance(event, ReaderEvent | CustomerErased)])
def test_an_act_that_a_newer_release_has_recorded_is_named_and_not_called_wrong(act: Event) -> None:
    stored = replace(as_stored(act), schema_version=99, payload='{"new": 1}')
    assert (wrong_act(stored), skipped(stored)) == ([], [])
    [note] = newer_act(stored)
    assert f"position {stored.position} has {stored.event_type} in version 99, which is newer" in note
    assert newer_act(as_stored(act)) == []


def test_verify_says_who_vouches_for_an_event_that_is_left_out() -> None:
    [act] = [act for act in ACTS if isinstance(act, DeadLetterSkipped)]
    what = f"StockAdjusted at position 4712 is left out of projector.stock, vouched for by ada: {act.reason}"
    assert [line for act in ACTS for line in skipped(as_stored(act))] == [what]
