"""verify names every event and saga that it has no rule for, and goes on with everything else."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import codec
from core.audit.case import Case
from core.audit.judge import judge, under_way, unstarted
from core.audit.reconcile import reconcile
from core.audit.saga_story import SagaRules
from core.audit.shelf import Shelf
from core.codec import StoredEvent
from core.domain import inventory, order, payment
from core.domain import saga as sagas
from core.domain.message import (
    Event,
    Metadata,
    OrderId,
    Sku,
    StreamId,
    inventory_stream,
    payment_of,
    reservation_of,
    saga_of,
)
from core.domain.order import OrderEvent
from core.domain.reader import ReaderEvent
from core.domain.sealed_customer import CustomerErased
from core.sagas import SAGAS
from core.sagas.fulfil_order import FULFIL_ORDER
from tests.support.pinned import PINNED
from tests.support.samples import NOW, ORDER_ID, created

ORDER = OrderId(UUID(str(ORDER_ID)))
RULES = SagaRules(SAGAS)
CATEGORIES = {order.OrderEvent: "order", payment.PaymentEvent: "payment", inventory.InventoryEvent: "inventory"}
RESERVATION = reservation_of(ORDER, Sku("A"))
PAYMENT, SAGA = payment_of(ORDER), saga_of(ORDER, FULFIL_ORDER.name)


# --- events that a stranger adds to the codec, and nowhere else ---------------------------------------------
class OrderReturned(OrderEvent, tag="OrderReturned", frozen=True, kw_only=True):
    pass


class GiftWrapped(Event, tag="GiftWrapped", frozen=True, kw_only=True):
    pass


class StockCounted(inventory.InventoryEvent, tag="StockCounted", frozen=True, kw_only=True):
    pass


@pytest.fixture(autouse=True)
def _strangers_events(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (OrderReturned, GiftWrapped, StockCounted):
        monkeypatch.setitem(codec._NEWEST, (kind.__name__, 1), codec.msgspec.json.Decoder(kind))
        monkeypatch.setitem(codec._TAGS, kind, f'{{"type":"{kind.__name__}"'.encode())


def stored(event: Event, position: int, stream: UUID = ORDER, **changes: Any) -> StoredEvent:
    fields: dict[str, Any] = {
        "position": position,
        "stream": StreamId(stream),
        "category": next((name for kind, name in CATEGORIES.items() if isinstance(event, kind)), "any"),
        "version": position,
        "event_id": UUID(int=position),
        "event_type": codec.event_type(type(event)),
        "schema_version": type(event).schema_version,
        "payload": codec.encode(event).decode(),
        "metadata": codec.encode_metadata(Metadata(correlation_id=ORDER, epoch=1)).decode(),
        "correlation_id": ORDER,
        "recorded_at": NOW,
    }
    return StoredEvent(**fields | changes)


def case_of(*events: Event) -> Case:
    return Case(ORDER, 99, RULES).fold([stored(event, n) for n, event in enumerate(events, 1)])


def test_verify_names_an_order_event_that_no_table_lists_and_does_not_judge_its_order() -> None:
    case = case_of(created, OrderReturned(order_id=ORDER))
    assert case.unknown == {"event OrderReturned"}
    assert case.findings == []
    assert list(judge(case)) == []


def test_verify_names_an_event_of_an_aggregate_that_it_does_not_know() -> None:
    case = case_of(created, GiftWrapped())
    assert (case.unknown, case.findings) == ({"event GiftWrapped"}, [])


def test_verify_names_an_event_of_a_sku_that_it_does_not_know() -> None:
    event = StockCounted(sku=Sku("A"))
    first = stored(event, 1, inventory_stream(event.sku))
    shelf = Shelf(first, 0, None)
    shelf.fold(first)
    assert (shelf.unknown, shelf.close()) == ({"event StockCounted"}, [])


def test_verify_names_a_saga_whose_definition_this_release_lacks_and_does_not_judge_its_order() -> None:
    started = sagas.SagaStarted(saga_id=SAGA, name=FULFIL_ORDER.name, definition=99, order_id=ORDER)
    case = Case(ORDER, 0, RULES).fold(
        [stored(created, 1), stored(started, 2, SAGA), stored(sagas.SagaCompleted(saga_id=SAGA), 3, SAGA)]
    )
    assert case.unknown == {"saga fulfil_order in definition 99"}
    assert (case.findings, list(unstarted(case, 99)), under_way(case), list(judge(case))) == ([], [], False, [])


def test_verify_names_a_saga_whose_name_this_release_lacks_and_does_not_call_it_superfluous() -> None:
    saga = saga_of(ORDER, "thank")
    started = sagas.SagaStarted(saga_id=saga, name="thank", definition=1, order_id=ORDER)
    case = Case(ORDER, 0, RULES).fold([stored(started, 1, saga)])
    assert case.unknown == {"saga thank in definition 1"}
    assert list(unstarted(case, 99)) == []


def test_verify_reports_an_event_whose_metadata_cannot_be_read() -> None:
    started = sagas.SagaStarted(saga_id=SAGA, name=FULFIL_ORDER.name, definition=1, order_id=ORDER)
    case = Case(ORDER, 0, RULES).fold([stored(started, 1, SAGA, metadata='{"epoch": "last week"}')])
    assert [(each.invariant, each.what[:49]) for each in case.findings] == [
        ("I2", "the metadata of SagaStarted cannot be read: Expec"),
    ]


def of_this_order(event: Event) -> tuple[Event, UUID]:
    """A sample event as if it were this order's, and the stream in which it lies."""
    fields = {"order_id": ORDER, "saga_id": SAGA, "payment_id": PAYMENT}
    changes = {name: value for name, value in fields.items() if name in type(event).__struct_fields__}
    streams = {order.OrderEvent: ORDER, payment.PaymentEvent: PAYMENT, sagas.SagaEvent: SAGA}
    stream = next((stream for kind, stream in streams.items() if isinstance(event, kind)), UUID(int=7))
    return codec.msgspec.structs.replace(event, **changes), stream


@given(rng=st.randoms(use_true_random=True))
def test_verify_reads_any_events_in_any_order_to_the_end(rng: Random) -> None:
    about_orders = [event for event in PINNED if not isinstance(event, ReaderEvent | CustomerErased)]
    events = [of_this_order(rng.choice(about_orders)) for _ in range(rng.randint(1, 30))]
    case = Case(ORDER, 99, RULES).fold([stored(event, n, stream) for n, (event, stream) in enumerate(events, 1)])
    found = [*case.findings, *unstarted(case, 99), *judge(case), reconcile(case, None)]
    found += [story.row(None, ORDER) for story in case.sagas.values()]
    assert case.unknown == set()
    assert case.last == len(events)
    assert all(each is None or each.what for each in found)


def test_events_in_a_version_of_a_newer_release_are_named_and_what_follows_them_is_not_called_wrong() -> None:
    """As when an older release's verify looks at a log in which a newer one records version 3 of OrderCreated."""
    newer, saga = {"schema_version": 3, "payload": '{"id": 1}'}, saga_of(ORDER, FULFIL_ORDER.name)
    started = sagas.SagaStarted(saga_id=saga, name=FULFIL_ORDER.name, definition=1, order_id=ORDER)
    confirmed = order.OrderConfirmed(order_id=ORDER, confirmed_at=NOW)
    case = Case(ORDER, 99, RULES).fold([stored(created, 1, **newer), stored(started, 2, saga), stored(confirmed, 3)])
    assert case.unknown == {"OrderCreated in version 3, which is newer than this release"}
    assert (case.findings, list(unstarted(case, 99)), list(judge(case)), case.judgeable) == ([], [], [], False)

    replenished = inventory.StockReplenished(sku=Sku("A"), quantity=1)
    reserved = inventory.InventoryReserved(sku=Sku("A"), reservation_id=RESERVATION, order_id=ORDER, quantity=1)
    first = stored(replenished, 1, inventory_stream(Sku("A")), schema_version=9)
    shelf = Shelf(first, 99, None)
    for each in (first, stored(reserved, 2, first.stream)):
        shelf.fold(each)
    assert shelf.newer
    assert (shelf.unknown, shelf.close()) == ({"StockReplenished in version 9, which is newer than this release"}, [])

    lost = Case(ORDER, 99, RULES).fold([stored(created, 1, event_type="OrderLost")])
    assert ["cannot be read" in finding.what for finding in lost.findings] == [True], "no release has ever had it"
