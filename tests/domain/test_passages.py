"""What each event does to a status stands in one table; decisions, folds, views and the deck agree with it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from core.domain import order, payment
from core.domain.decider import Decider
from core.domain.message import Command, Event
from core.domain.order import ORDER, OrderCommand, OrderCreated, OrderEvent, Status
from core.domain.passage import Passage
from core.domain.payment import PAYMENT, PaymentCommand, PaymentEvent, PaymentStatus
from core.errors import Rejected
from core.projections.order_view import ORDER_EVENTS as VIEWED
from core.projections.order_view import ORDER_VIEW, PAYMENT_EVENTS
from core.projections.projection import At
from tests.support import samples
from tests.support.spec import leaves
from tui.viewmodels.statuses import STATUS_AFTER, STATUSES

TABLES: list[Any] = [
    pytest.param(OrderEvent, Status, order.PASSAGES, ORDER, id="order"),
    pytest.param(PaymentEvent, PaymentStatus, payment.PASSAGES, PAYMENT, id="payment"),
]
COMMAND_OF = {OrderEvent: OrderCommand, PaymentEvent: PaymentCommand}
COMMANDS = [each for each in vars(samples).values() if isinstance(each, Command)]
EVENTS = [each for each in vars(samples).values() if isinstance(each, Event)]
ORDER_EVENTS = [pytest.param(each, id=type(each).__name__) for each in EVENTS if isinstance(each, OrderEvent)]


def history(decider: Decider[Any, Any, Any], passages: Mapping[Any, Passage[Any]], status: StrEnum) -> list[Event]:
    """Events that lead to a status, found in the table."""
    if status.name == "ABSENT":
        return []
    kind, passage = next((k, passage) for k, passage in passages.items() if status in {passage.to, passage.partly})
    before = history(decider, passages, passage.after[0])
    state = decider.fold(before)
    event = next(each for each in EVENTS if type(each) is kind and decider.evolve(state, each).status is status)
    return [*before, event]


@pytest.mark.parametrize(("kind", "statuses", "passages", "decider"), TABLES)
def test_the_table_of_passages_has_every_event_and_every_status_of_an_order(
    kind: type[Event], statuses: type[StrEnum], passages: Mapping[Any, Passage[Any]], decider: Decider[Any, Any, Any]
) -> None:
    assert set(passages) == leaves(kind), f"say in PASSAGES of {decider.category}.py what each event does to the status"
    reached = {status for passage in passages.values() for status in (passage.to, passage.partly) if status}
    assert reached | {decider.initial.status} == set(statuses)


@pytest.mark.parametrize(("kind", "statuses", "passages", "decider"), TABLES)
def test_a_command_records_an_event_only_where_the_table_lets_it_follow(
    kind: type[Event], statuses: type[StrEnum], passages: Mapping[Any, Passage[Any]], decider: Decider[Any, Any, Any]
) -> None:
    recorded: dict[type[Event], set[StrEnum]] = {each: set() for each in leaves(kind)}
    for status in statuses:
        state = decider.fold(history(decider, passages, status))
        assert state.status is status
        for command in COMMANDS:
            with contextlib.suppress(Rejected):
                for event in decider.decide(command, state) if isinstance(command, COMMAND_OF[kind]) else ():
                    recorded[type(event)].add(status)
                    passage = passages[type(event)]
                    assert decider.evolve(state, event).status in {passage.to or status, passage.partly}
    for each, passage in passages.items():
        if passage.to or recorded[each]:  # of an event that changes no status there may be no sample command
            assert recorded[each] == set(passage.after), each.__name__


@pytest.mark.parametrize("event", ORDER_EVENTS)
def test_the_view_of_an_order_has_the_status_that_the_table_says(event: OrderEvent) -> None:
    at = At(2, samples.NOW)
    before = None if isinstance(event, OrderCreated) else ORDER_VIEW.apply(VIEWED, None, [samples.created], at)
    view = ORDER_VIEW.apply(VIEWED, before, [event], at)
    assert view is not None
    assert view.status is (order.PASSAGES[type(event)].to or Status.CREATED)


def test_the_view_of_an_order_reads_every_event_of_its_payment() -> None:
    assert set(PAYMENT_EVENTS.reads) == set(payment.PASSAGES)


def test_the_deck_knows_every_status_and_every_event_of_an_order() -> None:
    assert set(STATUSES) == set(Status) - {Status.ABSENT}, "give it a glyph and a tone in tui/viewmodels/statuses.py"
    assert set(STATUS_AFTER) == {kind.__name__ for kind, passage in order.PASSAGES.items() if passage.to}
