"""Upcasters: an event that was stored in an older form is read as what is recorded today, wherever it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from core import codec
from core.adapters.memory.log import MemoryLog
from core.codec import EVENTS, StoredEvent, event_type
from core.domain.inventory import INVENTORY, ReceiveStock, StockAdjusted, StockReplenished
from core.domain.message import Event, Metadata, Sku, inventory_stream
from core.errors import UnknownEvent
from core.ports.log import Result
from core.projections.inventory_level import INVENTORY_LEVEL
from core.services import fold_events
from core.services.execute import Terms, execute
from core.services.fold_events import fold, read
from core.services.load import load_state
from core.upcasters import STEPS, Json, Lifted, Split, leads_to, lift
from daemons.query_api.frames import frame
from tests.support.log_under_test import FixedClock
from tests.support.strategies import values

LAPTOP = Sku("LAPTOP-001")
STREAM = inventory_stream(LAPTOP)
NOW = datetime(2026, 3, 14, tzinfo=UTC)


def renamed(stored: Json) -> Json:
    return {**{name: value for name, value in stored.items() if name != "count"}, "quantity": stored["count"]}


def with_default(stored: Json) -> Json:
    return {"name": "unnamed", **stored}


def label_split(stored: Json) -> Json:
    product_id, _, name = stored["label"].partition(" ")
    return {"sku": stored["sku"], "quantity": stored["quantity"], "product_id": product_id, "name": name}


def counted(stored: Json) -> list[Lifted]:
    """What came in, less what was broken, which was one event until it became two."""
    came = Lifted("StockReplenished", 1, {"sku": stored["sku"], "count": stored["came"]})
    broken = Lifted("StockAdjusted", 1, {"sku": stored["sku"], "quantity": -stored["broken"], "reason": "broken"})
    return [came, broken] if stored["broken"] else [came]


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A release in which StockReplenished is at version 4, and StockCounted is no longer recorded."""
    newest = codec._NEWEST
    monkeypatch.setattr(StockReplenished, "schema_version", 4)
    monkeypatch.setitem(newest, ("StockReplenished", 4), newest["StockReplenished", 1])
    monkeypatch.delitem(newest, ("StockReplenished", 1))
    for version, step in enumerate((renamed, with_default, lambda stored: stored), start=1):
        monkeypatch.setitem(STEPS, ("StockReplenished", version), step)  # type: ignore[index]
    split = Split((("StockReplenished", 1), ("StockAdjusted", 1)), counted)
    monkeypatch.setitem(STEPS, ("StockCounted", 1), split)  # type: ignore[index]
    fold_events._names.cache_clear()  # what it has kept was found for the events of another release
    yield
    fold_events._names.cache_clear()


def stored(name: str, schema_version: int, payload: Json, version: int = 1) -> StoredEvent:
    return StoredEvent(
        position=version,
        stream=STREAM,
        category="inventory",
        version=version,
        event_id=UUID(int=version),
        event_type=name,
        schema_version=schema_version,
        payload=json.dumps(payload),
        metadata=codec.encode_metadata(Metadata(correlation_id=STREAM)).decode(),
        correlation_id=STREAM,
        recorded_at=NOW,
    )


COUNTED = stored("StockCounted", 1, {"sku": LAPTOP, "came": 10, "broken": 3})
V1 = stored("StockReplenished", 1, {"sku": LAPTOP, "count": 5}, version=2)
V2 = stored("StockReplenished", 2, {"sku": LAPTOP, "quantity": 7}, version=3)
LATER = stored("StockReplenished", 5, {"sku": LAPTOP, "units": 7}, version=4)


def envelope(event: StoredEvent, shape: codec.Shape) -> dict[str, Any]:
    return json.loads(event.envelope(shape).encode())


# --- the steps of this release ----------------------------------------------------------------------------------
def test_every_older_form_of_an_event_leads_to_forms_that_are_recorded_today() -> None:
    newest = {(event_type(kind), kind.schema_version) for kind in EVENTS}
    older = {(event_type(kind), version) for kind in EVENTS for version in range(1, kind.schema_version)}
    assert older <= STEPS.keys()
    assert not newest & STEPS.keys()
    for form in STEPS:
        assert set(leads_to(form, STEPS)) <= newest, form


# --- one event --------------------------------------------------------------------------------------------------
def test_steps_follow_each_other_and_keep_every_digit_and_unknown_field() -> None:
    steps = {("Label", 1): renamed, ("Label", 2): with_default, ("Label", 3): label_split}
    first = {"sku": "A", "count": Decimal("1.50"), "label": "p-1 Laptop 14", "later": [None]}
    [lifted] = lift("Label", 1, first, steps)
    assert lifted == Lifted(
        "Label", 4, {"sku": "A", "quantity": Decimal("1.50"), "product_id": "p-1", "name": "Laptop 14"}
    )
    assert list(lift("Label", 4, first, steps)) == [Lifted("Label", 4, first)]


@pytest.mark.usefixtures("older")
def test_an_event_of_an_older_version_is_decoded_as_one_of_the_newest() -> None:
    assert codec.decode("StockReplenished", 1, V1.payload) == [StockReplenished(sku=LAPTOP, quantity=5, name="unnamed")]
    assert codec.decode("StockReplenished", 2, V2.payload.encode()) == [
        StockReplenished(sku=LAPTOP, quantity=7, name="unnamed")
    ]


@pytest.mark.usefixtures("older")
def test_an_event_of_an_older_version_is_shown_in_its_newest_shape_or_as_it_is_stored() -> None:
    latest = envelope(V1, "latest")
    assert (latest["event_version"], latest["schema_version"]) == (1, 4)
    assert latest["payload"] == {"sku": LAPTOP, "quantity": 5, "name": "unnamed"}
    kept = envelope(V1, "stored")
    assert (kept["event_version"], kept["schema_version"], kept["payload"]) == (1, 1, {"sku": LAPTOP, "count": 5})
    assert "became" not in latest.keys() | kept.keys()


@given(st.one_of(*map(values, EVENTS)))
def test_plain_json_becomes_the_same_event_as_the_stored_text(event: Event) -> None:
    """So a lifted event differs from a decoded one in nothing but what a step has changed."""
    stored = codec.encode(event)
    assert msgspec.convert(codec._OBJECT.decode(stored), type(event)) == event
    if len(stored) < 300:
        assert codec.json(codec._OBJECT.decode(stored)) == stored, "no digit is lost on the way to clients either"


# --- several ----------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("older")
def test_an_event_that_has_become_two_is_decoded_as_both_at_one_version() -> None:
    came, broken = COUNTED.recorded()
    assert (came.event, broken.event) == (
        StockReplenished(sku=LAPTOP, quantity=10, name="unnamed"),
        StockAdjusted(sku=LAPTOP, quantity=-3, reason="broken"),
    )
    assert {(one.version, one.position, one.event_id) for one in (came, broken)} == {(1, 1, UUID(int=1))}


@pytest.mark.usefixtures("older")
def test_an_event_that_has_become_two_stays_one_for_clients_with_both_beside_it() -> None:
    latest = envelope(COUNTED, "latest")
    assert (latest["event_type"], latest["schema_version"], latest["payload"]["came"]) == ("StockCounted", 1, 10)
    assert latest["became"] == [
        {
            "event_type": "StockReplenished", "schema_version": 4,
            "payload": {"sku": LAPTOP, "quantity": 10, "name": "unnamed"},
        },
        {
            "event_type": "StockAdjusted", "schema_version": 1,
            "payload": {"sku": LAPTOP, "quantity": -3, "reason": "broken"},
        },
    ]  # fmt: skip
    assert "became" not in envelope(COUNTED, "stored")


@pytest.mark.usefixtures("older")
async def test_a_log_of_every_older_form_is_folded_by_commands_views_and_snapshots_alike() -> None:
    log = MemoryLog(FixedClock())
    for event in (COUNTED, V1, V2):
        log.put(event)
    state = await load_state(log, INVENTORY, STREAM)
    assert (state.state.available, state.version, state.position) == (10 - 3 + 5 + 7, 3, 3)
    received = ReceiveStock(now=NOW, sku=LAPTOP, quantity=1)
    outcome = await execute(
        log, INVENTORY, STREAM, received, Terms(), lambda _: (Result.DONE, {}), correlation_id=STREAM
    )
    assert outcome.answer.version == 4
    view = fold(INVENTORY_LEVEL, {}, read(INVENTORY_LEVEL, await log.read_log(after=0, limit=10)))[STREAM]
    assert (view.available, view.version) == (20, 4)
    assert [event.schema_version for event in await log.read_log(after=3, limit=1)] == [4], "written as the newest"


@pytest.mark.usefixtures("older")
def test_a_live_stream_has_both_shapes_of_an_older_event_and_one_of_every_other() -> None:
    old, new = frame(V1), frame(changed(V1, schema_version=4, payload=f'{{"sku":"{LAPTOP}","quantity":7}}'))
    assert b'"quantity":5' in old.bytes_in("latest")
    assert b'"count": 5' in old.bytes_in("stored")
    assert old.size == len(old.bytes_in("latest")) + len(old.bytes_in("stored"))
    assert new.bytes_in("latest") is new.bytes_in("stored")


# --- what cannot be lifted --------------------------------------------------------------------------------------
@pytest.mark.usefixtures("older")
def test_an_event_of_a_later_version_is_refused_and_shown_as_it_is_stored() -> None:
    with pytest.raises(UnknownEvent, match="StockReplenished in schema 5"):
        LATER.recorded()
    for shape in ("latest", "stored"):
        shown = envelope(LATER, shape)  # type: ignore[arg-type]
        assert (shown["event_version"], shown["schema_version"], shown["payload"]["units"]) == (5, 5, 7)


@pytest.mark.usefixtures("older")
@pytest.mark.parametrize(
    "payload", ["{}", "[]", "null", "{", "", '{"sku": 1, "count": 1}', '{"sku": "A", "count": "many"}', '{"sku": "A"}']
)
def test_an_older_event_that_does_not_fit_is_an_error_and_is_shown_as_it_is_stored(payload: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        codec.decode("StockReplenished", 1, payload)
    if payload in {"{}", "[]", "null", '{"sku": "A"}'}:
        assert envelope(changed(V1, payload=payload), "latest")["payload"] == json.loads(payload)


def test_a_split_into_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STEPS, ("StockCounted", 1), Split((), lambda _: []))  # type: ignore[index]
    with pytest.raises(msgspec.DecodeError, match="no event at all"):
        codec.decode("StockCounted", 1, COUNTED.payload)


def test_what_leads_to_an_event_is_found_through_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STEPS, ("StockCounted", 1), Split((("StockReplenished", 1),), counted))  # type: ignore[index]
    assert codec.stored_types([StockReplenished]) == {"StockReplenished", "StockCounted"}
    assert codec.stored_types([StockAdjusted]) == {"StockAdjusted"}
