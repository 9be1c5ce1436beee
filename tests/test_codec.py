"""Codec: what was once stored is read for ever, and what this release does not know is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core import codec
from core.codec import EVENTS, StoredEvent, event_type
from core.domain.inventory import StockReplenished
from core.domain.message import Event, LeftOut, Metadata, OrderId, Recorded, SagaId, Sku, StreamId
from core.domain.order import OrderConfirmed
from core.domain.saga import SagaFailed
from core.errors import UnknownEvent
from tests.support.pinned import OLDER, PINNED
from tests.support.spec import leaves
from tests.support.strategies import AMOUNTS, values

GOLDEN = Path(__file__).parent / "data" / "golden"
PINS = {f"{event_type(type(event))}.v{type(event).schema_version}.json": event for event in PINNED}
ID = UUID("0195979f-3e40-7cc1-9d2e-000000000007")
ANY_EVENT = st.one_of(*map(values, EVENTS))


def decoded(event: Event, payload: str | bytes) -> Event:
    """What the codec makes of a payload of this event's type, in its newest schema version."""
    [found] = codec.decode(event_type(type(event)), type(event).schema_version, payload)
    return found


def parsed(payload: str | bytes) -> Any:
    """JSON with its numbers as they are written: 1.50 is not 1.5, and "1.50" is neither."""
    return json.loads(payload, parse_float=lambda digits: ("number", digits))


# --- what was once stored -------------------------------------------------------------------------------------
def test_every_event_type_has_a_stored_sample_and_every_sample_its_object() -> None:
    versions = {
        f"{event_type(kind)}.v{version}.json" for kind in EVENTS for version in range(1, kind.schema_version + 1)
    }
    assert {path.name for path in GOLDEN.iterdir()} == {*PINS, *OLDER} == versions


@pytest.mark.parametrize("name", [*PINS, *OLDER])
def test_a_stored_sample_decodes_for_ever_to_the_same_event(name: str) -> None:
    kind, version, _ = name.split(".")
    stored = (GOLDEN / name).read_text(encoding="utf-8")
    assert list(codec.decode(kind, int(version.removeprefix("v")), stored)) == (OLDER.get(name) or [PINS[name]])


@pytest.mark.parametrize("name", PINS)
def test_an_event_is_stored_as_its_sample_is(name: str) -> None:
    assert parsed(codec.encode(PINS[name])) == parsed((GOLDEN / name).read_text(encoding="utf-8"))


def test_every_event_class_is_known_to_the_codec() -> None:
    assert {*EVENTS, LeftOut} == leaves(Event)
    assert len({event_type(kind) for kind in EVENTS}) == len(EVENTS)


@pytest.mark.parametrize("kind", EVENTS)
def test_an_events_stored_name_is_written_out_and_not_in_its_payload(kind: type[Event]) -> None:
    assert kind.__struct_config__.tag == event_type(kind) == kind.__name__
    assert "type" not in kind.__struct_fields__  # the tag's own name


# --- round trips ----------------------------------------------------------------------------------------------
@given(ANY_EVENT)
def test_every_event_is_decoded_as_it_was_encoded(event: Event) -> None:
    payload = codec.encode(event)
    assert "type" not in json.loads(payload)
    assert decoded(event, payload) == event
    assert decoded(event, payload.decode()) == event


@given(values(Metadata))
def test_metadata_is_decoded_as_it_was_encoded(metadata: Metadata) -> None:
    assert codec.decode_metadata(codec.encode_metadata(metadata)) == metadata


def test_metadata_without_values_is_stored_without_fields() -> None:
    assert codec.encode_metadata(Metadata(correlation_id=ID)) == b'{"correlation_id":"%s"}' % str(ID).encode()


# --- what is not known ----------------------------------------------------------------------------------------
@given(st.text(max_size=30).filter(lambda name: name not in {event_type(kind) for kind in EVENTS}))
def test_the_codec_refuses_an_unknown_event(name: str) -> None:
    with pytest.raises(UnknownEvent):
        codec.decode(name, 1, "{}")


@given(ANY_EVENT, st.integers(1) | st.integers(-(2**31), -1000))
def test_the_codec_refuses_an_event_of_a_later_schema_version(event: Event, later: int) -> None:
    with pytest.raises(UnknownEvent, match=event_type(type(event))):
        codec.decode(event_type(type(event)), type(event).schema_version + later, codec.encode(event))


@given(ANY_EVENT, st.dictionaries(st.text(max_size=10).map("x_".__add__), st.none() | st.integers() | st.text()))
def test_the_codec_ignores_fields_that_a_later_release_added(event: Event, added: dict[str, Any]) -> None:
    payload = codec.encode(event)
    more = payload[:-1] + (b"," + json.dumps(added).encode()[1:-1] if added else b"") + b"}"
    assert decoded(event, more) == event


def test_a_stored_event_may_lack_fields_that_have_a_default() -> None:
    payload = '{"sku": "LAPTOP-001", "quantity": 3}'
    assert codec.decode("StockReplenished", 1, payload) == (StockReplenished(sku=Sku("LAPTOP-001"), quantity=3),)
    payload = f'{{"saga_id": "{ID}", "reason": "lost"}}'
    assert codec.decode("SagaFailed", 1, payload) == (SagaFailed(saga_id=SagaId(ID), reason="lost"),)


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        "[]",
        "null",
        "{",
        "",
        f'{{"payment_id": "{UUID(int=7)}", "order_id": "{UUID(int=7)}", "reason": 3}}',
        f'{{"payment_id": "{UUID(int=7)}", "order_id": "not an id", "reason": "x"}}',
        f'{{"payment_id": "{UUID(int=7)}", "order_id": "{UUID(int=7)}"}}',
    ],
)
def test_a_payload_that_does_not_fit_its_event_is_an_error(payload: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        codec.decode("PaymentFailed", 1, payload)


# --- as the log holds it, and as the world sees it ------------------------------------------------------------
AT = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
RECORDED = Recorded(
    position=42,
    stream=StreamId(ID),
    category="order",
    version=2,
    event_id=UUID(int=8),
    event=OrderConfirmed(order_id=OrderId(ID), confirmed_at=AT),
    metadata=Metadata(correlation_id=ID, user_id="ada"),
    recorded_at=AT,
)
STORED = StoredEvent(
    position=42,
    stream=StreamId(ID),
    category="order",
    version=2,
    event_id=UUID(int=8),
    event_type="OrderConfirmed",
    schema_version=1,
    payload=codec.encode(RECORDED.event).decode(),
    metadata=codec.encode_metadata(RECORDED.metadata).decode(),
    correlation_id=ID,
    recorded_at=AT,
)
ENVELOPE = {
    "event_id": "00000000-0000-0000-0000-000000000008",
    "aggregate_id": str(ID),
    "aggregate_type": "order",
    "event_type": "OrderConfirmed",
    "event_version": 1,
    "schema_version": 1,
    "payload": {"order_id": str(ID), "confirmed_at": "2026-03-14T15:09:26.535897Z"},
    "metadata": {"correlation_id": str(ID), "user_id": "ada"},
    "timestamp": "2026-03-14T15:09:26.535897Z",
    "version": 2,
    "position": 42,
}


def test_a_stored_event_is_decoded_only_when_it_is_used() -> None:
    assert STORED.recorded() == [RECORDED]


def test_an_event_has_the_same_envelope_in_the_log_and_in_a_dry_run() -> None:
    assert json.loads(STORED.envelope().encode()) == ENVELOPE
    assert json.loads(codec.envelope_of(RECORDED).encode()) == ENVELOPE


def test_an_event_that_this_release_does_not_know_has_an_envelope_too() -> None:
    unknown = replace(STORED, event_type="OrderLent", schema_version=3, payload='{"to": 1.50}')
    assert parsed(unknown.envelope().encode())["payload"] == {"to": ("number", "1.50")}
    with pytest.raises(UnknownEvent, match="OrderLent in schema 3"):
        unknown.recorded()


def test_answers_write_decimals_as_numbers() -> None:
    assert codec.json({"total": Decimal("1999.90")}) == b'{"total":1999.90}'


@given(AMOUNTS)
def test_plain_json_is_read_with_its_decimals(amount: Decimal) -> None:
    plain = {"total": amount, "items": [1, None, "x", True]}
    again = codec.parse(codec.json(plain))
    assert again == plain
    assert isinstance(again["total"], Decimal)
    assert isinstance(again["items"][0], int)
