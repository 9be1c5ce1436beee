"""Keys in one burst, as SSH and terminals deliver them: each goes to what the keys before it have opened or focused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual import events
from textual.containers import VerticalScroll
from textual.widgets import Input

from tests.support.deck_harness import Deck, desk_with, opened
from tests.support.fake_gateway import FakeGateway
from tui import key_gate
from tui.dialogs.ask import Ask
from tui.dialogs.help import HelpDialog
from tui.dialogs.new_order import FormField, NewOrderDialog


@asynccontextmanager
async def busy(gateway: FakeGateway, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Deck]:
    """A deck whose feed brings events and which paints all the time."""
    async with opened(gateway, size) as deck:

        async def load() -> None:
            while True:
                for _ in range(20):
                    gateway.record("inventory", "stock", "StockReplenished", {"sku": "A", "quantity": 1})
                deck.app.deck.tick()
                await asyncio.sleep(0.02)

        loading = asyncio.create_task(load())
        try:
            yield deck
        finally:
            loading.cancel()


def burst(deck: Deck, *inputs: str | events.Event) -> None:
    """Everything at once; keys of several letters have their names, others are typed letter by letter."""
    for each in inputs:
        if isinstance(each, events.Event):
            deck.app.post_message(each)
        elif each in ("enter", "escape", "tab", "up", "down", "space") or each.startswith(("ctrl+", "shift+")):
            deck.post(each)
        else:
            for character in each:
                deck.post(character)


async def done(deck: Deck) -> None:
    await deck.handled()


def dialogs(deck: Deck) -> list[type[Any]]:
    return [type(screen) for screen in deck.app.screen_stack[1:]]


def fields(deck: Deck) -> dict[str, str]:
    return {f.field_name: f.input.value for f in deck.app.screen.query(FormField) if f.input.value}


async def test_a_burst_goes_where_its_own_keys_lead() -> None:
    gateway = desk_with(2)  # the first row is CONFIRMED
    async with busy(gateway) as deck:
        burst(deck, "cno want")
        await done(deck)
        assert dialogs(deck) == [Ask]
        assert [field.value for field in deck.app.screen.query(Input)] == ["no want"]
        burst(deck, "escape", "escape", "escape", "escape", "escape")
        await done(deck)
        assert dialogs(deck) == []
        assert deck.app.deck.current == "orders"

        burst(deck, "n", "tab", "ctrl+u", "xyz", "down", "down", "EUR", "up", "up", "ctrl+u", "card")
        burst(deck, "shift+tab", "acme")
        await done(deck)
        assert fields(deck) == {
            "customer_id": "acme", "payment_method": "card", "currency": "EUR", "items[0].quantity": "1",
        }  # fmt: skip
        burst(deck, "escape", "nnnn")
        await done(deck)
        assert dialogs(deck) == [NewOrderDialog]
        assert fields(deck)["customer_id"] == "acmennn"

        burst(deck, "escape", "??")
        await done(deck)
        assert dialogs(deck) == [HelpDialog]

        burst(deck, "escape", "2", "-", "asUPS", "enter", "1Z999", "enter")
        await deck.until(lambda: gateway.sent)
        assert dialogs(deck) == []
        assert [command.body for command, _ in gateway.sent] == [{"carrier": "UPS", "tracking_number": "1Z999"}]


async def test_keys_wait_until_a_form_has_filled_itself_in_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    remove = VerticalScroll.remove_children

    async def remove_slowly(self: VerticalScroll) -> None:
        await remove(self)
        for _ in range(200):  # turns of the loop in which the field that has the focus is gone
            await asyncio.sleep(0)

    monkeypatch.setattr(VerticalScroll, "remove_children", remove_slowly)
    gateway = desk_with(2)
    async with opened(gateway, (80, 24)) as deck:
        burst(deck, "n", "ctrl+g", "ctrl+s")
        await deck.until(lambda: gateway.sent)
        await deck.shows("✔ place ORD-NEW")
        burst(deck, "n", "first", "ctrl+n", "second", "ctrl+n", "-more")
        await done(deck)
        assert fields(deck)["customer_id"] == "first-more"
        burst(deck, "ctrl+n")
        await done(deck)
        assert fields(deck)["customer_id"] == "second"


async def test_keys_after_a_filter_meet_the_orders_that_match() -> None:
    gateway = desk_with(30)
    async with opened(gateway, (80, 24)) as deck:
        deck.desk.debounce = 0.05
        burst(deck, "/status:can", "enter", "jj", "enter")
        await done(deck)
        cancelled = [id_ for id_, order in reversed(gateway.views.items()) if order.status == "CANCELLED"]
        assert deck.app.deck.trail.here == ("detail", cancelled[2])
        burst(deck, "escape", "escape", "Gk", "enter")
        await done(deck)
        assert deck.app.deck.trail.here == ("detail", list(gateway.views)[1])
        assert deck.view("orders").filter.value == ""


async def test_pasted_texts_and_clicks_keep_their_place_among_the_keys() -> None:
    async with busy(desk_with(3), (200, 60)) as deck:
        burst(deck, "n", events.Paste("acme\nsecond line"), "tab", events.Paste("card"), "s", "escape")
        await done(deck)
        assert deck.desk.draft.values["customer_id"] == "acme"
        assert deck.desk.draft.values["payment_method"] == "cards"
        column = deck.lines()[-1].index("2 Stream")
        burst(deck, "?", "escape", *click(column, 59), "space")
        await done(deck)
        assert deck.app.deck.current == "stream"
        await deck.shows("PAUSED")


def click(x: int, y: int) -> list[events.Event]:
    at = {"x": x, "y": y, "delta_x": 0, "delta_y": 0, "button": 1, "shift": False, "meta": False, "ctrl": False}
    kinds: tuple[Callable[..., events.Event], ...] = (events.MouseMove, events.MouseDown, events.MouseUp)
    return [kind(None, **at) for kind in kinds]


async def test_thousands_of_keys_cost_little_and_the_key_that_leaves_the_deck_overtakes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened(desk_with(30), (80, 24)) as deck:
        burst(deck, "/", "x" * 100)
        await done(deck)
        assert deck.view("orders").filter.value == "x" * 100
        started = time.process_time()
        burst(deck, "escape", "escape", "jk" * 100)
        await done(deck)
        assert (time.process_time() - started) / 200 < 0.02, "seconds of CPU for each key, painting included"
        left = asyncio.Event()
        monkeypatch.setattr(deck.app, "exit", left.set)
        burst(deck, "jk" * 1_500, "ctrl+q")
        await asyncio.wait_for(left.wait(), 5)
        assert deck.app.gate._waiting
        deck.app.gate._waiting.clear()


async def test_a_burst_too_large_to_keep_is_cut_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_gate, "MOST", 30)
    async with opened(desk_with(1), (80, 24)) as deck:
        burst(deck, "/", "x" * 60)
        await done(deck)
        assert 1 < len(deck.view("orders").filter.value) <= 30
        assert "more than 30 keys came at once" in deck.text()
        burst(deck, "escape", "?")
        await done(deck)
        assert dialogs(deck) == [HelpDialog]


async def test_keys_meant_for_an_answer_that_does_not_come_are_dropped_and_others_are_not_held_up() -> None:
    async with opened(desk_with(3), (80, 24)) as deck:

        async def for_ever() -> None:
            await asyncio.Event().wait()

        worker = deck.app.run_worker(for_ever, group="for ever")
        burst(deck, "j")
        await done(deck)  # a worker that nobody waits for holds no key up
        deck.app.gate.next_key_waits_for(worker)
        started = time.monotonic()
        burst(deck, "j", "n", "ctrl+g", "ctrl+s")
        await done(deck)
        assert time.monotonic() - started < 5 * key_gate.ANSWER
        assert dialogs(deck) == []
        await deck.shows("no answer yet: 3 keys")
        burst(deck, "?")
        await done(deck)
        assert dialogs(deck) == [HelpDialog]
        worker.cancel()
