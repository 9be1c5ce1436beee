"""A whole log that was recorded when every event had schema version 1 is read as the release read it that recorded it.

`tests/data/logs` has the rows of that log, and the orders as that release answered them: five of the demo, one
delivered and refunded, one with a flaky provider, one cancelled after its confirmation, from four countries.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import msgspec
from msgspec.structs import replace

from core.adapters.kafka.cloud_events import message_of
from core.adapters.kafka.records import event_of
from core.adapters.memory.log import MemoryLog
from core.audit.case import Case
from core.audit.judge import judge
from core.audit.saga_story import SagaRules
from core.audit.shelf import Shelf
from core.codec import StoredEvent, encode, event_type
from core.domain.message import OrderId
from core.domain.order import ORDER, OrderCreated
from core.projections.order_view import ORDER_VIEW, OrderView
from core.sagas import SAGAS
from core.services.fold_events import fold, read
from core.services.load import load_state
from tests.support.log_under_test import FixedClock
from tests.support.recorded_log import CREATED, EVENTS, ORDERS


def views(events: Sequence[StoredEvent]) -> list[OrderView]:
    return sorted(fold(ORDER_VIEW, {}, read(ORDER_VIEW, events)).values(), key=lambda view: str(view.order_id))


def test_the_log_is_whole_and_of_the_first_schema_versions() -> None:
    assert [event.position for event in EVENTS] == list(range(1, 194))
    assert {event.schema_version for event in EVENTS} == {1}
    assert len({event.event_type for event in EVENTS}) == 26
    assert len(CREATED) == len(ORDERS) == 8


def test_the_views_are_those_that_the_release_of_then_had() -> None:
    assert views(EVENTS) == sorted(ORDERS, key=lambda view: str(view.order_id))


async def test_commands_see_every_order_with_its_payment_method_as_an_object() -> None:
    log = MemoryLog(FixedClock())
    for event in EVENTS:
        log.put(event)
    for event, view in zip(CREATED, ORDERS, strict=True):
        order = (await load_state(log, ORDER, event.stream)).state
        assert order.created is not None
        assert (order.status, order.created.shipping_address) == (view.status, view.shipping_address)
        assert order.created.payment_method.type in {"card", "test_card_fail", "test_card_flaky"}


def test_verify_finds_nothing_wrong_in_it() -> None:
    by_order = sorted(EVENTS, key=lambda event: (str(event.correlation_id), event.position))
    cases = [
        Case(OrderId(about), EVENTS[-1].position, SagaRules(SAGAS)).fold(list(story))
        for about, story in groupby(by_order, key=lambda event: event.correlation_id)
        if any(about == event.stream for event in CREATED)
    ]
    assert len(cases) == len(CREATED)
    for case in cases:
        assert (case.judgeable, case.findings, list(judge(case))) == (True, [], [])
    stock = sorted((e for e in EVENTS if e.category == "inventory"), key=lambda e: (str(e.stream), e.position))
    for _, events in groupby(stock, key=lambda event: event.stream):
        first, *others = events
        shelf = Shelf(first, EVENTS[-1].position, None)
        for event in (first, *others):
            shelf.fold(event)
        assert (shelf.findings, shelf.unknown) == ([], set())


def test_the_views_are_the_same_when_the_events_come_from_kafka_where_they_are_as_they_were_stored() -> None:
    came = [event_of(message_of(event)[2]) for event in EVENTS]
    assert {event.schema_version for event in came if event is not None} == {1}
    assert views([event for event in came if event is not None]) == views(EVENTS)


def test_the_same_log_recorded_today_gives_the_same_views() -> None:
    """So a log whose beginning is old and whose end is new has no seam."""
    today: list[StoredEvent] = []
    for stored in EVENTS:
        [recorded] = stored.recorded()
        kind = type(recorded.event)
        assert event_type(kind) == stored.event_type
        payload = encode(recorded.event).decode()
        today.append(replace(stored, schema_version=kind.schema_version, payload=payload))
    assert {event.schema_version for event in today if event.event_type == "OrderCreated"} == {2}
    assert views(today) == views(EVENTS)
    assert views([*EVENTS[:100], *today[100:]]) == views(EVENTS)


def test_clients_get_its_events_in_todays_shape_or_as_they_were_recorded() -> None:
    for stored in EVENTS:
        kept = stored.envelope("stored")
        assert (bytes(kept.payload).decode(), kept.event_version, kept.schema_version) == (stored.payload, 1, 1)
        latest = stored.envelope("latest")
        newest = OrderCreated.schema_version if stored in CREATED else 1
        assert (latest.event_version, latest.schema_version) == (1, newest)
    method = msgspec.json.decode(CREATED[0].envelope().payload)["payment_method"]
    assert method == {"type": "card"}
    hong_kong = msgspec.json.decode(CREATED[5].envelope().payload)["shipping_address"]
    assert hong_kong == {"street": "8 Finance Street", "city": "Central", "country": "HK"}
