"""The form for a new order."""

from __future__ import annotations

import asyncio

from textual.widgets import Input

from tests.support.deck_harness import Deck, desk_with, opened
from tui.dialogs.new_order import FormField, NewOrderDialog
from tui.gateway import ServiceRefused, TimedOut, Unreachable
from tui.wire import FieldProblem


def texts(deck: Deck) -> dict[str, str]:
    return {f.field_name: f.input.value for f in deck.app.screen.query(FormField) if f.input.value}


def focused_field(deck: Deck) -> str:
    assert isinstance(deck.app.focused, Input)
    return deck.app.focused.query_ancestor(FormField).field_name


async def test_a_form_that_was_only_opened_places_nothing_and_complains_of_nothing() -> None:
    gateway = desk_with(1)
    async with opened(gateway, (80, 24)) as deck:
        await deck.press("n")
        await deck.shows("fields are still empty")
        assert texts(deck) == {"items[0].quantity": "1"}
        assert "must not be blank" not in deck.text()
        await deck.press("ctrl+s")
        await deck.until(lambda: deck.text().count("must not be blank") == 2)
        assert len(gateway.log) == 1
        assert focused_field(deck) == "customer_id"


async def test_an_example_is_filled_in_on_request_and_overwrites_nothing_and_can_be_placed() -> None:
    gateway = desk_with(3)
    async with opened(gateway) as deck:
        recorded = len(gateway.log)
        await deck.press("n", *"acme", "ctrl+g")
        await deck.shows("1 OrderCreated")
        assert texts(deck)["customer_id"] == "acme"
        assert texts(deck)["items[0].sku"] == "LAPTOP-001"
        assert "number" not in deck.text()  # of the order: it is drawn when the order is placed
        assert len(gateway.log) == recorded
        await deck.press("ctrl+s")
        await deck.shows("✔ place ORD-NEW")
        assert deck.desk.orders.chosen is not None
        assert deck.desk.orders.chosen.order_number.startswith("ORD-NEW")
        await deck.caught_up()
        assert deck.text().count("ORD-NEW") == 2  # its row and the receipt
        await deck.press("n")
        assert texts(deck) == {"items[0].quantity": "1"}


async def test_errors_stand_under_the_field_they_belong_to() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        await deck.press("n", "ctrl+g", "ctrl+l")
        await deck.type("SKU-002")
        await deck.press("tab")
        await deck.type("x")
        form = deck.app.screen
        assert isinstance(form, NewOrderDialog)
        await deck.press("ctrl+s")
        await deck.until(lambda: "must be a whole number" in deck.text())
        wrong = [f.field_name for f in form.query(FormField) if f.error.display]
        assert wrong == ["items[1].quantity"]
        assert focused_field(deck) == "items[1].quantity"
        assert len(gateway.log) == 1


async def test_no_key_of_the_form_loses_what_was_written() -> None:
    async with opened(desk_with(1)) as deck:
        await deck.press("n", *"acme-q7", "escape")
        await deck.shows("the draft is kept")
        assert deck.app.is_running
        await deck.press("n", "ctrl+l")
        await deck.type("SKU-002")
        written = texts(deck)
        assert written["customer_id"] == "acme-q7"
        assert written["items[1].sku"] == "SKU-002"
        await deck.press("ctrl+r", "f5", "ctrl+p", "ctrl+t", "pagedown", "home", "end", "tab", "up", "down")
        assert isinstance(deck.app.screen, NewOrderDialog)
        assert texts(deck) == written
        await deck.press("ctrl+n")
        assert texts(deck) == {"items[0].quantity": "1"}
        assert "2. SKU" not in deck.text()
        await deck.press(*"other", "ctrl+n")
        assert texts(deck) == written
        await deck.press("ctrl+n", "escape", "n")
        assert texts(deck)["customer_id"] == "other"


async def test_what_was_typed_into_a_question_is_there_again_after_esc() -> None:
    gateway = desk_with(2)
    async with opened(gateway) as deck:
        await deck.press("c", *"no stoc", "escape")
        await deck.shows("nothing was sent")
        await deck.press("c", "k", "enter")
        await deck.until(lambda: gateway.sent)
        assert gateway.sent[0][0].body == {"reason": "no stock"}
        await deck.press("j", "c")
        assert deck.app.screen.query_one(Input).value == ""  # another order has its own


async def test_an_order_that_may_have_been_placed_is_sent_again_under_the_same_key() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        await deck.press("n", "ctrl+g")
        gateway.commands_down = TimedOut("the service has not answered in time")
        await deck.press("ctrl+s")
        await deck.shows("whether it was placed is unknown")
        gateway.commands_down = None
        await deck.press("ctrl+s")
        await deck.shows("✔ place ORD-NEW")
        assert len({key for _, key in gateway.sent}) == 1


async def test_the_form_says_when_the_command_service_is_away() -> None:
    gateway = desk_with(1)
    gateway.commands_down = Unreachable("http://desk.test:8080 does not answer")
    async with opened(gateway) as deck:
        await deck.press("n")
        await deck.shows("http://desk.test:8080 does not answer")


async def test_the_errors_of_a_service_are_shown_as_they_are_and_never_as_markup() -> None:
    gateway = desk_with(1)
    wrong = (
        FieldProblem("customer_id", "must not be [bold]x[/] \x1b[31m"),
        FieldProblem("total_amount", "is too large"),
    )
    gateway.commands_down = ServiceRefused(400, "validation_failed", "some fields are wrong", wrong)
    async with opened(gateway) as deck:
        await deck.press("n", "x")
        await deck.shows("must not be [bold]x[/]")
        assert "total_amount: is too large" in deck.text()
        assert "\x1b" not in deck.text()


async def test_what_is_written_while_an_order_is_placed_is_kept() -> None:
    gateway = desk_with(1)
    answered = asyncio.Event()
    async with opened(gateway) as deck:
        send = gateway.send

        async def slow(*args, **named):  # noqa: ANN002, ANN003, ANN202
            await answered.wait()
            return await send(*args, **named)

        gateway.send = slow  # type: ignore[method-assign]
        await deck.press("n", "ctrl+g", "ctrl+s")
        await deck.press("tab", *"-late")
        answered.set()
        await deck.shows("✔ place ORD-NEW")
        assert deck.desk.draft.values["payment_method"] == "card-late"
