"""Messages cannot be changed, and ids about an order are derived from its own, for ever in the same way."""

from __future__ import annotations

import inspect
from uuid import UUID

import pytest
from msgspec import Struct

from core.codec import Envelope, StoredEvent
from core.domain import saga
from core.domain.inventory import Stock
from core.domain.message import (
    Command,
    Event,
    Metadata,
    OrderId,
    Recorded,
    Sku,
    inventory_stream,
    payment_of,
    reader_stream,
    reservation_of,
    saga_of,
)
from core.domain.order import Address, Item, Order
from core.domain.payment import Payment
from core.domain.saga import SagaEvent
from tests.support.pinned import PINNED
from tests.support.spec import leaves

ORDER_ID = OrderId(UUID("0195979f-3e40-7cc1-9d2e-000000000001"))
OTHER_ID = OrderId(UUID("0195979f-3e40-7cc1-9d2e-000000000002"))
LAPTOP = Sku("LAPTOP-001")

MESSAGES = sorted(leaves(Event) | leaves(Command), key=lambda kind: kind.__name__)
VALUES = [Item, Address, Order, Stock, Payment, Metadata, Recorded, Envelope]


@pytest.mark.parametrize("kind", [*MESSAGES, *VALUES, StoredEvent])
def test_a_command_or_an_event_cannot_be_changed(kind: type[Struct]) -> None:
    assert kind.__struct_config__.frozen


@pytest.mark.parametrize("kind", [*MESSAGES, *VALUES])
def test_every_message_takes_its_fields_only_by_name(kind: type[Struct]) -> None:
    kinds = {parameter.kind for parameter in inspect.signature(kind).parameters.values()}
    assert kinds <= {inspect.Parameter.KEYWORD_ONLY}  # what stands for an event that was left out has no fields


def test_the_ids_derived_from_an_order_never_change_with_a_release() -> None:
    assert inventory_stream(LAPTOP) == UUID("9747737d-b2fd-5ef3-9f8d-5694ec29c097")
    assert payment_of(ORDER_ID) == UUID("4f943e19-aad3-5415-81a0-370e65634916")
    assert reservation_of(ORDER_ID, LAPTOP) == UUID("a8f76ebb-e0a6-5829-88b5-2a7a18bd79de")
    assert reader_stream("projector.orders") == UUID("ef1cd938-2192-529e-989f-d6f383f855ed")
    assert saga_of(ORDER_ID, "fulfil_order") == UUID("13a2091d-9a48-53b0-8807-c4d1bc274d2b")


def test_no_two_ids_derived_from_an_order_are_the_same() -> None:
    ids = [
        derived
        for order_id in (ORDER_ID, OTHER_ID)
        for derived in (
            order_id,
            payment_of(order_id),
            reservation_of(order_id, LAPTOP),
            reservation_of(order_id, Sku("SKU-001")),
            saga_of(order_id, "fulfil_order"),
            saga_of(order_id, "settle_order"),
        )
    ]
    assert len(set(ids)) == len(ids)


def test_sku_streams_differ_by_every_letter_and_its_case() -> None:
    assert len({inventory_stream(Sku(sku)) for sku in ("A", "a", "AA", "A-1", "A1")}) == 5


@pytest.mark.parametrize("kind", saga.EVENTS)
def test_a_saga_has_ended_for_good_only_when_nobody_can_act_on_it_any_more(kind: type[SagaEvent]) -> None:
    ended = {saga.SagaCompleted, saga.SagaCompensated, saga.SagaResolved}
    assert saga.finished(next(event for event in PINNED if type(event) is kind)) is (kind in ended)
