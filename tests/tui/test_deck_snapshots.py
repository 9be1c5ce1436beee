"""The deck's pictures: as SVG, and as plain text that a review can read. `make golden` takes them anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.recipes.screen.entry import SALES
from tests.support.deck_harness import Deck, desk_with, opened
from tests.support.fake_gateway import FakeGateway
from tests.support.pictures import entries_of, same_picture
from tui.gateway import ServiceRefused

GOLDEN = Path(__file__).parent / "golden"


async def orders(deck: Deck) -> None:
    await deck.press("j", "j")


async def detail(deck: Deck) -> None:
    await deck.press("j", "enter")
    await deck.shows("├●")
    await deck.press(",", ",")


async def declined(deck: Deck) -> None:
    await deck.press("enter")
    await deck.shows("├●")


async def refunded(deck: Deck) -> None:
    order_id = list(deck.gateway.views)[1]
    deck.gateway.ship(order_id)
    deck.gateway.refund(order_id, "5.00", "one was broken")
    await deck.caught_up()
    await deck.press("j", "enter")
    await deck.shows("├●")


async def stream(deck: Deck) -> None:
    await deck.press("2")


async def new_order(deck: Deck) -> None:
    deck.desk.draft.key = "deck-00000000-0000"
    await deck.press("n", "ctrl+g")
    await deck.shows("1 OrderCreated")
    await deck.press("tab", "tab", "tab", "tab", "tab", "backspace")
    await deck.shows("must be a whole number")


async def ship(deck: Deck) -> None:
    await deck.press("j", "a", "s")
    await deck.type("dhl")


async def disconnected(deck: Deck) -> None:
    deck.gateway.feed_down = True
    deck.gateway.cut_feed()
    await deck.until(lambda: deck.desk.feed.state == "lost" and deck.desk.feed.reason.startswith("desk"))
    await feed_stops(deck, again_in=1.5)


async def unreadable(deck: Deck) -> None:
    await deck.until(lambda: deck.desk.feed.state == "lost")
    await feed_stops(deck, again_in=0.2)


async def feed_stops(deck: Deck, *, again_in: float) -> None:
    """A feed that went on trying would change the seconds while the picture is taken."""
    deck.app.workers.cancel_group(deck.app, "feed")
    deck.desk.feed.retry_at = deck.clock() + again_in
    await deck.shows(f"again in {again_in}s")


async def help_sheet(deck: Deck) -> None:
    await deck.press("?")


async def nothing(_: Deck) -> None:
    pass


def failing() -> FakeGateway:
    gateway = desk_with(3)
    gateway.queries_down = ServiceRefused(503, "unavailable", "the database is away")
    return gateway


Arrange = Callable[[Deck], Awaitable[None]]
SCENES: dict[str, tuple[Callable[[], FakeGateway], Arrange]] = {
    "orders": (lambda: desk_with(40), orders),
    "detail": (lambda: desk_with(3), detail),
    "stream": (lambda: desk_with(12), stream),
    "new_order": (lambda: desk_with(3), new_order),
    "declined": (lambda: desk_with(3), declined),
    "refunded": (lambda: desk_with(3), refunded),
    "ship": (lambda: desk_with(3), ship),
    "empty": (FakeGateway, nothing),
    "error": (failing, unreadable),
    "disconnected": (lambda: desk_with(8), disconnected),
    "help": (lambda: desk_with(3), help_sheet),
}
EVERY_SIZE = ("orders", "detail", "stream", "new_order")
CASES = [
    *((name, size) for name in SCENES for size in [(120, 36)]),
    *((name, size) for name in EVERY_SIZE for size in [(80, 24), (200, 60)]),
]


IDS = [f"{name}-{w}x{h}" for name, (w, h) in CASES]
WITH = ("orders", "detail", "stream")  # the views of the deck that the pictures show


@pytest.mark.parametrize(("scene", "size"), CASES, ids=IDS)
async def test_the_deck_looks_like_its_picture(scene: str, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    make, arrange = SCENES[scene]
    async with opened(make(), size=size, views=entries_of(*WITH)) as deck:
        await arrange(deck)
        golden = GOLDEN / f"{scene}-{size[0]}x{size[1]}.txt"
        await same_picture(deck, golden, snapshot, svg=scene in EVERY_SIZE)


@pytest.mark.parametrize(("scene", "size"), CASES[: len(SCENES) + 2], ids=IDS[: len(SCENES) + 2])
async def test_a_further_view_changes_no_picture_but_for_its_name_in_the_lists(
    scene: str, size: tuple[int, int]
) -> None:
    make, arrange = SCENES[scene]
    async with opened(make(), size=size, views=[*entries_of(*WITH), SALES]) as deck:
        await arrange(deck)
        await deck.pilot.pause()
        lines = deck.lines()
    *golden, bottom = (GOLDEN / f"{scene}-{size[0]}x{size[1]}.txt").read_text().splitlines()
    if scene == "help":  # the line of its key pushes the others down
        rows = key_rows(lines)
        rows.remove("9             Sales")
        assert rows == key_rows(golden)[: len(rows)]
    else:
        assert lines[:-1] == golden
    assert lines[-1].partition("1 Orders")[0].rstrip() == bottom.partition("1 Orders")[0].rstrip()
    if size[0] > 80:
        assert lines[-1].endswith("  1 Orders  2 Stream  9 Sales")


def key_rows(lines: Sequence[str]) -> list[str]:
    """The keys on the help sheet, without the frame and the scrollbar around them."""
    return [row for line in lines if line[6:10] == "│   " and (row := line[8:110].strip())]
