from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec

from core.filters.order_language import parse
from core.filters.order_query import OrderQuery
from tests.support.deck_harness import desk_with
from tests.support.fake_desk import START
from tests.support.fake_gateway import FakeGateway
from tests.support.listed import absorb, listed, shown
from tui.gateway import Unreachable
from tui.viewmodels.statuses import one_line
from tui.wire import OrderPage, WireAddress


async def test_the_chosen_order_stays_chosen_and_in_place_through_a_thousand_updates() -> None:
    gateway = desk_with(30)
    model = await listed(gateway)
    model.view.move(12)
    model.moved()
    chosen, top = model.chosen, model.view.top
    assert chosen is not None
    dice = random.Random(7)
    for n in range(1_000):
        at = len(gateway.log)
        if n % 3:
            order_id = dice.choice([o.order_id for o in model.window])
            gateway.record(
                "order",
                order_id,
                dice.choice(["OrderConfirmed", "OrderShipped"]),
                {"carrier": "c", "tracking_number": "t"},
            )
        else:
            gateway.place(1_000 + n)
        absorb(model, gateway, at)
        assert model.chosen is not None
        assert model.chosen.order_id == chosen.order_id
        assert model.view.top == top
    assert model.new == 334
    assert all(model.window.find(key) == order for key, order in gateway.views.items() if model.window.find(key))


async def test_new_orders_wait_until_they_are_taken_in_and_the_chosen_order_stays_chosen() -> None:
    gateway = desk_with(5)
    model = await listed(gateway)
    model.view.move(1)
    model.moved()
    at, chosen = len(gateway.log), model.chosen
    gateway.fulfil(gateway.place(50))
    gateway.place(51)
    absorb(model, gateway, at)
    assert (len(model.window), model.new, model.total) == (5, 2, 7)
    await model.take_in()
    assert shown(model)[:2] == ["ORD-0000000051", "ORD-0000000050"]
    assert (model.chosen, model.new, model.total, model.view.top) == (chosen, 0, 7, 0)


async def test_new_orders_come_in_by_themselves_while_the_first_order_is_chosen() -> None:
    gateway = desk_with(5)
    model = await listed(gateway)
    for n in range(50, 80):
        at = len(gateway.log)
        gateway.place(n)
        absorb(model, gateway, at)
        assert model.chosen is not None
        assert (model.chosen.order_number, model.view.top, model.new) == (f"ORD-{n:010}", 0, 0)
    assert model.total == len(model.window) == 35


async def test_taking_in_more_new_orders_than_the_list_can_hold_starts_at_its_top() -> None:
    gateway = desk_with(5)
    gateway.page = 10
    model = await listed(gateway)
    model.window.max_pages = 3
    model.view.move(2)
    model.moved()
    at = len(gateway.log)
    for n in range(100, 150):
        gateway.place(n)
    absorb(model, gateway, at)
    await model.take_in()
    assert shown(model) == [f"ORD-{n:010}" for n in range(149, 139, -1)]
    assert (model.view.cursor, model.new) == (0, 0)


async def test_an_order_the_read_model_does_not_show_yet_is_taken_in_from_the_feed() -> None:
    gateway = desk_with(3)
    model = await listed(gateway)
    at = len(gateway.log)
    behind = dict(gateway.views)
    gateway.fulfil(gateway.place(50))
    absorb(model, gateway, at)
    gateway.views, ahead = behind, gateway.views
    await model.load()
    assert shown(model)[0] == "ORD-0000000050"
    gateway.views = ahead
    await model.load()
    assert shown(model).count("ORD-0000000050") == 1


async def test_a_status_from_the_feed_stays_although_the_read_model_is_behind() -> None:
    gateway = desk_with(3)
    model = await listed(gateway)
    behind = dict(gateway.views)
    order_id = next(key for key, order in behind.items() if order.status == "CREATED")
    at = len(gateway.log)
    gateway.record("order", order_id, "OrderConfirmed", {})
    absorb(model, gateway, at)
    gateway.views = behind
    await model.load()
    held = model.window.find(order_id)
    assert held is not None
    assert held.status == "CONFIRMED"


async def test_the_first_order_of_an_empty_desk_shows_at_once() -> None:
    gateway = FakeGateway()
    model = await listed(gateway)
    gateway.place(1)
    absorb(model, gateway, 0)
    assert shown(model) == ["ORD-0000000001"]


async def test_only_new_orders_that_match_the_filter_come_in() -> None:
    gateway = desk_with(3)
    model = await listed(gateway)
    await model.search(parse("customer:acme", START))
    at = len(gateway.log)
    gateway.place(60, customer="other")
    gateway.place(61, customer="acme")
    absorb(model, gateway, at)
    assert shown(model) == ["ORD-0000000061"]


async def test_a_late_answer_to_an_earlier_filter_is_dropped() -> None:
    gateway = desk_with(6)
    model = await listed(gateway)
    gateway.hold = first = asyncio.Event()
    slow = asyncio.create_task(model.search(parse("status:cancelled", START)))
    await asyncio.sleep(0)
    gateway.hold = None
    await model.search(parse("status:confirmed", START))
    first.set()
    await slow
    assert {order.status for order in model.window} == {"CONFIRMED"}


async def test_paging_reaches_the_end_of_a_long_list_and_comes_back_to_its_top() -> None:
    gateway = desk_with(0)
    gateway.page = 10
    for n in range(345):
        gateway.place(n)
    model = await listed(gateway)
    model.window.max_pages = 4
    seen = [model.chosen.order_number] if model.chosen else []
    for step in (1, -1):
        for _ in range(344):
            model.view.move(step)
            model.moved()
            while await model.extend():
                pass
            assert len(model.window) <= 40
            assert model.chosen is not None
            seen.append(model.chosen.order_number)
    down = [f"ORD-{n:010}" for n in range(344, -1, -1)]
    assert seen == down + down[-2::-1]


async def test_the_last_page_is_read_from_the_other_end() -> None:
    gateway = desk_with(0)
    gateway.page = 10
    for n in range(345):
        gateway.place(n)
    model = await listed(gateway)
    before = len(gateway.queries)
    await model.load(from_end=True)
    assert len(gateway.queries) == before + 1
    assert model.chosen is not None
    assert (model.chosen.order_number, model.view.cursor) == ("ORD-0000000000", 344)
    for _ in range(344):
        model.view.move(-1)
        model.moved()
        while await model.extend():
            pass
    assert (model.chosen.order_number, model.view.cursor) == ("ORD-0000000344", 0)


async def test_a_list_that_cannot_be_read_keeps_its_rows() -> None:
    gateway = desk_with(3)
    model = await listed(gateway)
    gateway.queries_down = Unreachable("desk.test does not answer")
    await model.load()
    assert (model.phase, model.error, len(model.window)) == ("error", "desk.test does not answer", 3)
    gateway.queries_down = None
    await model.load()
    assert model.phase == "ready"


async def test_reaching_the_top_of_a_list_with_an_estimated_total_moves_no_row() -> None:
    class Estimating(FakeGateway):
        async def orders(self, query: OrderQuery, **how: Any) -> OrderPage:
            page = await super().orders(query, **how)
            return msgspec.structs.replace(page, total=(page.total or 0) + 50, total_estimated=True)

    gateway = Estimating()
    gateway.page = 10
    for n in range(60):
        gateway.place(n)
    model = await listed(gateway)
    await model.load(from_end=True)
    for n in range(59):
        model.view.move(-1)
        model.moved()
        while await model.extend():
            pass
        assert model.chosen is not None
        assert model.chosen.order_number == f"ORD-{n + 1:010}"
    assert (model.view.cursor, model.view.top, model.window.start) == (0, 0, 0)


def test_the_address_of_an_erased_customer_is_one_word() -> None:
    parts = ("street", "city", "state", "zip", "country")
    assert one_line(WireAddress(**dict.fromkeys(parts, "erased"))) == "erased"
    assert one_line(WireAddress(street="1 Main St", city="Rome", country="IT")) == "1 Main St, Rome, IT"
