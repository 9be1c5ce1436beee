"""The view of what needs a person, and the alarm in the top line of every view."""

from __future__ import annotations

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.support.deck_harness import opened
from tests.support.pictures import entries_of, same_picture
from tests.support.troubles import TroubledDesk, saga
from tui.gateway import Health, Unreachable


async def test_a_void_that_never_succeeds_is_resolved_with_three_keys_and_a_reason() -> None:
    """An order is cancelled at night, its payment cannot be voided, and the saga has FAILED."""
    gateway = TroubledDesk(orders=3)
    gateway.show(saga(1, "failed", "129.00", gateway.time), saga(2, "retrying", "40.00", gateway.time))
    gateway.steered["resolve"] = ["SagaResolved"]
    async with opened(gateway, (80, 24)) as deck:
        assert "⚠ 2  169.00 EUR" in deck.lines()[0]
        await deck.press("!")  # 1
        await deck.shows("2 need a person")
        screen = deck.text()
        for text in (
            "✖ FAILED ORD-TROUBLE001  unwind_order  129.00 EUR at risk  since ",
            "void_payment: the payment provider answered 503",
            "! 129.00 EUR may be authorised; 2 x LAPTOP-001 may be held",
            "r retry…   S skip…   C compensate…   V resolve…   enter opens the saga",
        ):
            assert text in screen, text
        await deck.press("V")  # 2
        await deck.shows("would record SagaResolved")
        await deck.type("voided by phone, case 4711")
        await deck.press("enter")  # 3
        await deck.shows("✔ resolve unwind_order of ORD-TROUBLE001")
        assert " → event " in deck.lines()[-2]
        assert " → RESOLVED" in deck.lines()[-2], "what has become of the saga has room in 80 columns"
        [(command, _)] = gateway.sent
        assert (command.verb, command.subject_id) == ("resolve", saga(1, "failed", None, gateway.time)["saga_id"])
        assert command.body == {"reason": "voided by phone, case 4711"}
        deck.clock.seconds += 1
        await deck.shows("1 needs a person")
        await deck.until(lambda: "⚠ 1  40.00 EUR" in deck.lines()[0])
        assert "ORD-TROUBLE001" not in "\n".join(deck.lines()[1:-2])


async def test_the_cursor_stays_on_its_trouble_and_each_key_acts_on_it_or_says_why_not() -> None:
    gateway = TroubledDesk(orders=1)
    gateway.everything()
    async with opened(gateway, (80, 24)) as deck:
        await deck.press("!")
        await deck.shows("8 need a person")
        await deck.press("r")
        await deck.shows("saga-runner has no saga to steer")
        await deck.press("x")
        await deck.shows("saga-runner is no order")
        await deck.press("j", "j", "j")
        await deck.shows("✖ FAILED ORD-TROUBLE001")
        worse = saga(9, "failed", "900.00", gateway.time)
        gateway.show(worse, *gateway.answers["/api/v1/sagas"]["sagas"])
        await deck.press("ctrl+r")
        await deck.shows("9 need a person")
        assert deck.view("attention").chosen.what == "ORD-TROUBLE001"
        await deck.press("k")
        await deck.shows("✖ FAILED ORD-TROUBLE009")
        for key, title in (("r", "Retry unwind"), ("S", "Skip a step"), ("C", "Compensate"), ("V", "Resolve")):
            await deck.press(key)
            await deck.shows(title)
            await deck.press("escape")
            await deck.shows("nothing was sent")
        await deck.press("g", "enter")
        await deck.until(lambda: deck.app.deck.current == "daemons")
        await deck.press("escape")
        await deck.until(lambda: deck.app.deck.current == "attention")
        await deck.press("a")
        await deck.shows("saga-runner is no order")
        gateway.commands_down = Unreachable("the command API does not answer")
        await deck.desk.measure()
        await deck.press("j", "j", "j", "V")
        await deck.shows("the command API does not answer")


async def test_an_order_whose_authorisation_ends_can_be_acted_on() -> None:
    gateway = TroubledDesk(orders=1)
    [order_id] = gateway.views
    gateway.fulfil(order_id)
    gateway.show(saga(4, "expiring", "49.00", gateway.time, order_id=order_id))
    async with opened(gateway) as deck:
        await deck.press("!", "a")
        await deck.shows("s   Ship…")
        await deck.press("escape", "x")
        await deck.until(lambda: deck.app.deck.current == "detail")


async def test_nothing_to_do_an_api_that_is_away_and_who_is_behind() -> None:
    gateway = TroubledDesk()
    gateway.lag = Health(0, 9, 12.0, "projector.orders")
    async with opened(gateway, (80, 24)) as deck:
        assert "⚠" not in deck.text()
        assert "▲ BEHIND projector.orders 12.0s" in deck.lines()[0]
        await deck.press("!")
        await deck.shows("Nothing needs a person")
        await deck.press("enter", "r", "x", "y")
        await deck.shows("nothing needs a person")
        gateway.everything()
        await deck.desk.measure()
        await deck.shows("⚠ 8  218.00 EUR +1")
        gateway.queries_down = Unreachable("it does not answer")
        deck.clock.seconds += 20
        await deck.desk.measure()
        await deck.shows("✖ it does not answer, as it was 20.0s ago")
        for _ in range(9):  # the line does not change, and is not painted anew, within a second
            assert "⚠ 8  218.00 EUR +1 (20s ago)" in deck.lines()[0]
            deck.clock.seconds += 0.1
            deck.app.deck.tick()
            await deck.pilot.pause()
    gateway = TroubledDesk()
    gateway.queries_down = Unreachable("it does not answer")
    async with opened(gateway, (80, 24)) as deck:
        await deck.desk.measure()
        await deck.press("!")
        await deck.shows("What needs a person is not known")
        assert "⚠ ?" in deck.lines()[0]


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_view_of_alarms_looks_like_its_picture(size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    gateway = TroubledDesk(orders=3)
    gateway.everything()
    async with opened(gateway, size, entries_of("orders", "attention")) as deck:
        await deck.press("!", "j", "j", "j")
        await deck.shows("✖ FAILED ORD-TROUBLE001")
        golden = Path(__file__).parent / f"golden/attention-{size[0]}x{size[1]}.txt"
        await same_picture(deck, golden, snapshot, svg=size == (120, 36))
