"""Events of several places are handed on in the order of the log, and none waits long for a place that says nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from core.adapters.kafka import log_order
from core.adapters.kafka.log_order import MOST_AHEAD, LogOrder
from core.codec import StoredEvent
from core.domain.message import StreamId
from core.ports.deliveries import TopicMark, TopicPlace
from tests.support.stored_events import at

ORDERS, PAYMENTS = TopicPlace("order", 1), TopicPlace("payment", 1)
BEGIN = {ORDERS: TopicMark(0), PAYMENTS: TopicMark(0)}


def event(position: int) -> StoredEvent:
    return StoredEvent(position, StreamId(uuid4()), "order", 1, UUID(int=position), "X", 1, "{}", "", uuid4(), at(1))


def records(*positions: int, first: int = 0) -> Sequence[tuple[int, StoredEvent]]:
    return [(first + n, event(position)) for n, position in enumerate(positions)]


def taken(order: LogOrder, most: int = 100) -> list[int]:
    return [event.position for _, event in order.take(most).events]


def test_an_event_waits_for_those_before_it_that_another_place_has_not_delivered_yet() -> None:
    order = LogOrder(BEGIN, {ORDERS: 4, PAYMENTS: 3})
    order.add(PAYMENTS, records(2, 5, 8), end=3)
    assert taken(order) == []
    assert order.waits
    order.add(ORDERS, records(1, 4), end=4)
    delivery = order.take(100)
    assert [(place, event.position) for place, event in delivery.events] == [(ORDERS, 1), (PAYMENTS, 2), (ORDERS, 4)]
    assert delivery.marks == {PAYMENTS: TopicMark(1, UUID(int=2), 2), ORDERS: TopicMark(2, UUID(int=4), 4)}
    order.add(ORDERS, records(7, 9, first=2), end=4)
    assert taken(order) == [5, 7, 8, 9]
    assert not order.waits


def test_a_place_that_has_no_more_keeps_nobody_waiting() -> None:
    order = LogOrder({**BEGIN, ORDERS: TopicMark(7, UUID(int=3), 3)}, {ORDERS: 7, PAYMENTS: 0})
    order.add(PAYMENTS, records(12, 13), end=2)
    assert taken(order) == [12, 13]


def test_a_place_that_has_more_and_says_nothing_is_waited_for_only_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = LogOrder(BEGIN, {ORDERS: 4, PAYMENTS: 1})
    order.add(PAYMENTS, records(5), end=1)
    assert taken(order) == []
    monkeypatch.setattr(log_order, "HOLD", 0.0)
    assert taken(order) == [5]
    monkeypatch.undo()
    order.add(PAYMENTS, records(8, first=1), end=2)
    assert taken(order) == [8], "it waits no longer for a place that did not deliver"
    order.add(ORDERS, records(4, 6), end=4)
    order.add(PAYMENTS, records(9, first=2), end=3)
    assert taken(order) == [4, 6]


def test_not_many_more_are_handed_on_at_once_than_were_asked_for() -> None:
    order = LogOrder(BEGIN, {ORDERS: 50, PAYMENTS: 50})
    order.add(ORDERS, records(*range(1, 100, 2)), end=50)
    order.add(PAYMENTS, records(*range(2, 101, 2)), end=50)
    parts = [taken(order, most=30) for _ in range(4)]
    assert [len(part) for part in parts] == [30, 30, 30, 10]
    assert [position for part in parts for position in part] == list(range(1, 101))


def test_a_place_that_is_far_ahead_of_the_others_is_not_read_until_they_have_come_nearer() -> None:
    order = LogOrder(BEGIN, {ORDERS: 2, PAYMENTS: 1_000})
    order.add(PAYMENTS, records(*range(10, 10 + MOST_AHEAD)), end=1_000)
    assert taken(order) == []
    assert order.ahead() == {PAYMENTS}
    order.add(ORDERS, records(5, 5_000), end=2)
    assert len(taken(order, most=1_000)) == MOST_AHEAD + 1
    assert order.ahead() == set()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_anybody_writes_every_record_is_handed_on_once_in_the_order_of_its_place(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    length = 60
    places = {place: records(*(rng.choice([n, n, n, 10**18, 1]) for n in range(1, length + 1))) for place in BEGIN}
    order, read, got = LogOrder(BEGIN, dict.fromkeys(BEGIN, length)), dict.fromkeys(BEGIN, 0), list[StoredEvent]()
    next_ = dict.fromkeys(BEGIN, 0)
    for turn in range(1_000):
        if turn == 500:
            monkeypatch.setattr(log_order, "HOLD", -1.0)
        place = rng.choice(list(BEGIN))
        come = places[place][read[place] : read[place] + rng.randint(0, 9)]
        read[place] += len(come)
        if come:
            order.add(place, come, end=length)
        delivery = order.take(rng.choice([1, 10]))
        for where in delivery.marks:
            mine = [event for one, event in delivery.events if one == where]
            expected = [event for _, event in places[where][next_[where] : next_[where] + len(mine)]]
            assert sorted(mine, key=id) == sorted(expected, key=id)
            next_[where] += len(mine)
            assert delivery.marks[where].next == next_[where]
        got += [event for _, event in delivery.events]
    assert len(got) == 2 * length
