from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.deck_harness import desk_with, opened
from tui.gateway import Unreachable
from tui.messages import OpenView
from tui.trail import MOST_PLACES, Stop, Trail


@given(st.lists(st.sampled_from([*"abc", -1, 1, -2]), max_size=300))
def test_a_trail_leads_back_through_every_place_in_order(steps: list[str | int]) -> None:
    trail = Trail(Stop("start"))
    for step in steps:
        here = trail.here
        if isinstance(step, str):
            trail.go(Stop(step))
            assert trail.here == Stop(step)
            assert trail.here == here or trail.walk(-1) == here
            trail.walk(1)
        elif trail.walk(step) is None:
            assert trail.here == here
        else:
            assert trail.before == here
        assert len(trail.stops) <= MOST_PLACES
    while trail.walk(-1):
        pass
    assert trail.here == Stop("start") or len(trail.stops) == MOST_PLACES


async def test_brackets_and_escape_walk_through_the_places_where_the_operator_was() -> None:
    gateway = desk_with(3)
    first, second = list(gateway.views)[:2]
    async with opened(gateway) as deck:
        screen = deck.app.deck

        def place() -> tuple[str, str | None]:
            detail = deck.view("detail").model
            return screen.current, detail.order_id if screen.current == "detail" else None

        await deck.press("enter")
        chosen = deck.view("detail").model.order_id
        assert place() == ("detail", chosen)
        screen.post_message(OpenView("detail", first))
        await deck.until(lambda: place() == ("detail", first))
        screen.post_message(OpenView("detail", second))
        await deck.until(lambda: place() == ("detail", second))
        await deck.press("escape")
        assert place() == ("detail", first)
        await deck.press("[")
        assert place() == ("detail", chosen)
        await deck.press("]", "]")
        assert place() == ("detail", second)
        await deck.press("]")
        assert "you were nowhere after this" in deck.text()
        await deck.press("2", "-")
        assert place() == ("detail", second)
        await deck.press("-", "q")
        assert place()[0] == "stream"
        assert "ctrl+q quits the deck" in deck.text()


async def test_an_action_that_cannot_be_done_says_why_and_does_not_run() -> None:
    gateway = desk_with(3)
    async with opened(gateway) as deck:
        gateway.commands_down = Unreachable("the command API does not answer")
        await deck.desk.measure()
        for key in ("n", "a", "c"):
            await deck.press(key)
            assert "the command API does not answer: no command can be sent" in deck.text()
            assert deck.app.screen is deck.app.deck
