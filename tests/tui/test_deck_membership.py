from __future__ import annotations

import asyncio
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.filters.order_language import parse
from tests.support.deck_harness import desk_with
from tests.support.fake_desk import START
from tests.support.listed import absorb, listed, settled, shown
from tui.viewmodels.order_rows import COLUMNS, cells, narrow, with_trouble


async def test_orders_enter_and_leave_a_filtered_list_as_their_state_does() -> None:
    gateway = desk_with(9)
    model = await listed(gateway, text="status:cancelled")
    assert {order.status for order in model.window} == {"CANCELLED"}
    created = [key for key, order in gateway.views.items() if order.status == "CREATED"]
    at = len(gateway.log)
    gateway.record("order", created[1], "OrderCancelled", {"order_id": created[1]})
    absorb(model, gateway, at)
    await settled(model)
    assert model.window.find(created[1]) is not None
    assert shown(model) == sorted(shown(model), reverse=True)
    assert model.total == len(model.window) == 4

    await model.search(parse("status:created", START))
    at = len(gateway.log)
    gateway.record("order", created[0], "OrderConfirmed", {"order_id": created[0]})
    absorb(model, gateway, at)
    assert model.window.find(created[0]) is None
    await settled(model)
    assert model.total == len(model.window) == 1


async def test_a_row_that_comes_when_all_that_were_shown_have_left_hides_none_that_came_before() -> None:
    gateway = desk_with(0)
    model = await listed(gateway, text="status:created")
    model.moved()
    for n in range(2):
        gateway.place(n)
    absorb(model, gateway, 0)
    await settled(model)
    [first] = model.window
    assert model.new == 1
    at = len(gateway.log)
    gateway.place(2)
    gateway.record("order", first.order_id, "OrderCancelled", {})
    absorb(model, gateway, at)
    await settled(model)
    await model.take_in()
    await settled(model)
    whole = (await gateway.orders(parse("status:created", START))).orders
    assert [order.order_id for order in model.window] == [order.order_id for order in whole]
    assert len(whole) == 2


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_after_any_events_a_list_that_is_read_to_its_end_shows_what_the_server_shows(data: st.DataObject) -> None:
    async def run() -> None:
        gateway = desk_with(data.draw(st.integers(0, 8)))
        text = data.draw(
            st.sampled_from(["", "status:created", "status:cancelled payment:voided", "sku:A", "min:1500"])
        )
        sort = data.draw(st.sampled_from(["-created_at", "created_at", "-total_amount", "total_amount"]))
        model = await listed(gateway, text=text)
        await model.search(parse(text, START), sort)
        model.view.move(data.draw(st.integers(0, 3)))
        model.moved()
        for step in range(data.draw(st.integers(1, 4))):
            at = len(gateway.log)
            for n in range(data.draw(st.integers(0, 5))):
                keys = list(gateway.views)
                what = data.draw(st.sampled_from(["place", "OrderCancelled", "OrderConfirmed", "pay", "fulfil"]))
                if what == "place" or not keys:
                    gateway.place(100 * (step + 1) + n, quantity=n + 1, sku=data.draw(st.sampled_from("AB")))
                elif what == "pay":
                    gateway.pay(data.draw(st.sampled_from(keys)), "PaymentVoided", "5")
                elif what == "fulfil":
                    gateway.fulfil(data.draw(st.sampled_from(keys)), declined=n % 2 == 0)
                else:
                    gateway.record("order", data.draw(st.sampled_from(keys)), what, {})
            chosen, row = model.chosen, model.view.cursor - model.view.top
            at_top = model.at_top
            absorb(model, gateway, at)
            await settled(model)
            if chosen is not None and not at_top and model.window.find(chosen.order_id) is not None:
                assert model.chosen is not None
                assert model.chosen.order_id == chosen.order_id
                assert model.view.cursor - model.view.top == row or model.view.top == model.window.start
        await model.take_in()
        await settled(model)
        whole = (await gateway.orders(parse(text, START), sort=sort)).orders
        assert list(model.window) == list(whole)
        assert model.total == len(whole)

    asyncio.run(run())


async def test_more_changes_than_can_be_asked_about_have_the_list_read_again() -> None:
    gateway = desk_with(3)
    model = await listed(gateway, text="status:cancelled")
    keys = [gateway.place(n) for n in range(100, 100 + 1_400)]
    at = len(gateway.log)
    for key in keys:
        gateway.record("order", key, "OrderCancelled", {})
    absorb(model, gateway, at)
    await settled(model)
    assert shown(model)[0] == "ORD-0000001499"
    assert model.total == 1_401


async def test_an_order_of_ones_own_is_put_only_where_it_belongs() -> None:
    gateway = desk_with(3)
    gateway.page = 2
    for text in ("status:cancelled", "customer:acme"):
        model = await listed(gateway, text=text)
        before = shown(model)
        order = gateway.views[gateway.place(70, customer="else")]
        model.put(order)
        await settled(model)
        assert shown(model) == before
    model = await listed(gateway)
    await model.load(from_end=True)
    before = shown(model)
    model.put(gateway.views[gateway.place(71)])
    assert (shown(model), model.new) == (before, 1)
    model = await listed(gateway)
    model.view.move(1)
    model.moved()
    model.put(gateway.views[gateway.place(72)])
    assert model.new == 1
    await model.take_in()
    assert shown(model)[0] == "ORD-0000000072"


async def test_a_flood_of_new_orders_is_counted_or_read_again_and_every_tick_looks_into_few_of_them() -> None:
    gateway = desk_with(2)
    model = await listed(gateway)
    at = len(gateway.log)
    for n in range(100, 400):
        gateway.place(n)
    absorb(model, gateway, at)
    assert len(model.window) < 50
    await settled(model)
    assert shown(model)[0] == "ORD-0000000399"
    model.view.move(5)
    model.moved()
    at = len(gateway.log)
    for n in range(400, 900):
        gateway.place(n)
    absorb(model, gateway, at)
    assert (model.new, model.total) == (500, 802)


async def test_a_sagas_trouble_is_asked_for_when_it_fails_and_shown_with_the_money_that_it_has_open() -> None:
    gateway = desk_with(4)
    model = await listed(gateway)
    order_id = model.window.get(1).order_id  # type: ignore[union-attr] - four are held
    gateway.views[order_id] = replace(gateway.views[order_id], saga_state="failed", open_amount=Decimal(129))
    at = len(gateway.log)
    gateway.record("saga", "a-saga", "SagaFailed", {"reason": "void refused"}, order_id)
    absorb(model, gateway, at)
    await settled(model)
    order = model.window.find(order_id)
    assert order is not None
    assert cells(order, gateway.time)["saga"].text == "✖ failed  129.00 USD open"
    assert [column.name for column in with_trouble(COLUMNS, model.window)][3] == "saga"
    shown = narrow(cells(order, gateway.time), order)
    assert (shown["changed"].text, shown["amount"].text) == ("✖failed", "open 129.00 USD")
    model.put(replace(order, saga_state=None, open_amount=None))  # an order by itself is told without it
    assert model.window.find(order_id) == order
    gateway.views[order_id] = replace(gateway.views[order_id], saga_state=None, open_amount=None)
    at = len(gateway.log)
    gateway.record("saga", "a-saga", "SagaResolved", {"reason": "by hand"}, order_id)
    absorb(model, gateway, at)
    await settled(model)
    assert with_trouble(COLUMNS, model.window) == COLUMNS
