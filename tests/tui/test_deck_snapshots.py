"""The deck's pictures: as SVG, and as plain text that a review can read. `--snapshot-update` renews the SVGs only."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pytest_textual_snapshot import SVGImageExtension
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Input

from tests.support.deck_harness import Deck, desk_with, opened
from tests.support.fake_gateway import FakeGateway
from tui.feed import Feed
from tui.gateway import Refused

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


async def stream(deck: Deck) -> None:
    await deck.press("2")


async def new_order(deck: Deck) -> None:
    deck.desk.draft.key = "deck-00000000-0000"
    await deck.press("n")
    await deck.shows("1 OrderCreated")
    await deck.press("tab", "tab", "tab", "tab", "backspace")
    await deck.shows("must be a whole number")


async def ship(deck: Deck) -> None:
    await deck.press("j", "a", "s")
    await deck.type("dhl")


async def disconnected(deck: Deck) -> None:
    deck.gateway.feed_down = True
    deck.gateway.cut_feed()
    await deck.until(lambda: deck.desk.feed.state == "lost")
    deck.desk.feed.retry_now()
    await deck.until(lambda: deck.desk.feed.reason.startswith("desk"))
    deck.desk.feed.retry_at = deck.clock() + 1.5
    await deck.shows("again in 1.5s")


async def help_sheet(deck: Deck) -> None:
    await deck.press("?")


async def nothing(_: Deck) -> None:
    pass


async def until_retried(feed: Feed, _: float) -> None:
    """In place of a pause of real time, in which another try would change the seconds that the picture shows."""
    await feed._nudge.wait()
    feed._nudge.clear()


def failing() -> FakeGateway:
    gateway = desk_with(3)
    gateway.queries_down = Refused(503, "unavailable", "the database is away")
    return gateway


Arrange = Callable[[Deck], Awaitable[None]]
SCENES: dict[str, tuple[Callable[[], FakeGateway], Arrange]] = {
    "orders": (lambda: desk_with(40), orders),
    "detail": (lambda: desk_with(3), detail),
    "stream": (lambda: desk_with(12), stream),
    "new_order": (lambda: desk_with(3), new_order),
    "declined": (lambda: desk_with(3), declined),
    "ship": (lambda: desk_with(3), ship),
    "empty": (FakeGateway, nothing),
    "error": (failing, nothing),
    "disconnected": (lambda: desk_with(8), disconnected),
    "help": (lambda: desk_with(3), help_sheet),
}
EVERY_SIZE = ("orders", "detail", "stream", "new_order")
CASES = [
    *((name, size) for name in SCENES for size in [(120, 36)]),
    *((name, size) for name in EVERY_SIZE for size in [(80, 24), (200, 60)]),
]


@pytest.mark.parametrize(("scene", "size"), CASES, ids=[f"{name}-{w}x{h}" for name, (w, h) in CASES])
async def test_the_deck_looks_as_it_did(
    scene: str, size: tuple[int, int], snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Feed, "_wait", until_retried)
    make, arrange = SCENES[scene]
    async with opened(make(), size=size) as deck:
        await arrange(deck)
        for field in deck.app.screen.query(Input):
            field.cursor_blink = False
        await deck.pilot.pause()
        picture = deck.app.export_screenshot(title="orderdeck")
        text = deck.text() + "\n"
    golden = GOLDEN / f"{scene}-{size[0]}x{size[1]}.txt"
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(text)
    assert text == golden.read_text()
    if scene in EVERY_SIZE:
        assert picture == snapshot(extension_class=SVGImageExtension)
