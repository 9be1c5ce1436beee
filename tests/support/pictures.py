"""Pictures of the deck: its text in a file of its own, and how it looks as an SVG; `make golden` takes both anew."""

from __future__ import annotations

from pathlib import Path

from pytest_textual_snapshot import SVGImageExtension
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Input

from tests.support.deck_harness import Deck
from tui.registry import VIEWS, ViewEntry

TITLE = "looks_like_its_picture"


def entries_of(*names: str) -> list[ViewEntry]:
    """The views that a picture is taken with: it then stays the same when the registry gets further ones."""
    return [entry for entry in VIEWS if entry.name in names]


async def same_picture(deck: Deck, golden: Path, snapshot: SnapshotAssertion, *, svg: bool = False) -> None:
    """Compare the screen with the text in `golden`, and its SVG with the snapshot of the running test."""
    assert TITLE in snapshot.test_location.testname, f"`make golden` finds a test by its title: test_…_{TITLE}"
    for field in deck.app.screen.query(Input):
        field.cursor_blink = False
    await deck.pilot.pause()
    _same_text(deck.text() + "\n", golden, take=snapshot.update_snapshots)
    if svg:
        assert deck.app.export_screenshot(title="orderdeck") == snapshot(extension_class=SVGImageExtension)


def _same_text(text: str, golden: Path, *, take: bool) -> None:
    if take:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert golden.exists(), "there is no such picture yet: `make golden` takes it"
    assert text == golden.read_text(), "the deck looks different; if that is meant, say `make golden`"
