"""What holds for every view in the registry: these tests tell whoever adds one what is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.binding import Binding

from tests.support.deck_harness import Deck, desk_with, every_table, opened
from tui.action_table import BAR, LIST, bar
from tui.dialogs.dialog import Dialog
from tui.dialogs.types import KEYS as TYPES_KEYS
from tui.messages import OpenView
from tui.registry import VIEWS, ViewEntry, everywhere

ROOT = Path(__file__).resolve().parents[2]
SIZES = [(80, 24), (120, 36), (200, 60)]
KEYED = [entry for entry in VIEWS if entry.key]


async def enter(deck: Deck, entry: ViewEntry) -> None:
    if entry.key:
        await deck.press(entry.key)
    else:
        deck.app.deck.post_message(OpenView(entry.name, next(iter(deck.gateway.views))))
    await deck.until(lambda: deck.app.deck.current == entry.name)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_each_view_fits_the_terminal_and_names_itself_and_its_keys(size: tuple[int, int]) -> None:
    async with opened(desk_with(20), size=size) as deck:
        for entry in VIEWS:
            await enter(deck, entry)
            await deck.pilot.pause()
            lines = deck.lines()
            assert lines[0].startswith(f" orderdeck ▸ {entry.title} ")
            assert all(len(line) <= size[0] for line in lines), entry.name
            actions = bar(*deck.view(entry.name).tables, deck.app.deck.everywhere)
            assert all(f"{action.shown} {action.label}" in lines[-1] for action in actions), entry.name
            assert deck.app.focused is deck.view(entry.name).focus_target, entry.name


async def test_a_click_on_a_views_name_at_the_bottom_opens_it() -> None:
    async with opened(desk_with(3), size=(200, 24)) as deck:
        for entry in KEYED:
            await deck.press(next(other.key for other in KEYED if other is not entry))
            x = deck.lines()[-1].index(f"{entry.key} {entry.title}")
            await deck.pilot.click(offset=(x, 23))
            await deck.until(lambda entry=entry: deck.app.deck.current == entry.name)


async def test_a_click_beside_the_names_of_the_views_opens_none() -> None:
    async with opened(desk_with(3), size=(200, 24)) as deck:
        await deck.press("2")
        await deck.pilot.click(offset=(deck.lines()[-1].index("1 Orders") - 1, 23))
        assert deck.app.deck.current == "stream"
    async with opened(desk_with(3), size=(80, 24)) as deck:  # the names have no room here
        await deck.pilot.click(offset=(75, 23))
        assert deck.app.deck.current == "orders"


def test_names_of_views_and_places_of_keys_are_given_once() -> None:
    for given in ([entry.name for entry in VIEWS], [table.place for table in every_table()]):
        assert len(given) == len(set(given))


async def test_no_key_means_two_things_in_one_place() -> None:
    async with opened(desk_with(1)) as deck:
        places = {name: [*view.tables, deck.app.deck.everywhere] for name, view in deck.app.deck.views.items()}
    for name, tables in {**places, "choosing types": [LIST, TYPES_KEYS]}.items():
        keys = [key for table in tables for action in table.actions for key in action.keys.split(",")]
        assert len(keys) == len(set(keys)), name
        assert not {"ctrl+c"} & set(keys), f"{name}: Textual takes these itself"


async def test_every_key_of_a_view_is_bound_to_an_action_that_the_view_has() -> None:
    async with opened(desk_with(1)) as deck:
        for name, view in deck.app.deck.views.items():
            widgets = [deck.view(name), view.focus_target]
            for table in view.tables:
                for binding in table.bindings():
                    assert isinstance(binding, Binding)
                    [owner] = [w for w in widgets if binding.id in {b.id for _, b in w._bindings}] or [None]
                    assert owner is not None, f"{name}: put the bindings of its table into BINDINGS, {binding.id}"
                    assert hasattr(owner, f"action_{binding.action.partition('(')[0]}"), f"{name}: {binding.action}"


async def test_the_bottom_line_has_room_for_all_keys_that_are_meant_for_it() -> None:
    async with opened(desk_with(1)) as deck:
        for name, view in deck.app.deck.views.items():
            meant = [a for table in (*view.tables, deck.app.deck.everywhere) for a in table.actions if a.bar]
            assert len(meant) <= BAR, name


async def test_the_help_sheet_has_every_key_of_every_view_and_dialog() -> None:
    async with opened(desk_with(1), size=(120, 300)) as deck:
        await deck.press("?")
        await deck.shows("Everywhere")
        text = deck.text()
        tables = deck.app.deck.tables
        assert all(f"{action.shown}" in text and action.label in text for table in tables for action in table.actions)
        bound = {binding.id for table in tables for binding in table.bindings() if isinstance(binding, Binding)}
        for kind in (*Dialog.__subclasses__(), *(type(view) for view in deck.app.deck.views.values())):
            own = {each.id for each in kind.__dict__.get("BINDINGS", ()) if isinstance(each, Binding)}
            assert own <= bound, f"{kind.__name__}: its keys are missing on the help sheet"


def test_the_keys_that_open_views_stand_first_among_those_that_work_everywhere() -> None:
    actions = everywhere(VIEWS).actions
    assert [(action.keys, action.label) for action in actions[: len(KEYED)]] == [
        (entry.key, entry.title) for entry in KEYED
    ]


@pytest.mark.parametrize("entry", VIEWS, ids=lambda entry: entry.name)
def test_every_view_is_in_the_documentation_and_has_a_picture(entry: ViewEntry) -> None:
    page = (ROOT / "docs/how-to/use-the-deck.md").read_text(encoding="utf-8")
    heading = rf"^## {entry.title} \(`{entry.key}`\)$" if entry.key else rf"(?i)^## .*\b{entry.title}\b"
    assert re.search(heading, page, re.MULTILINE), "describe it in docs/how-to/use-the-deck.md"
    assert (ROOT / f"tests/tui/golden/{entry.name}-120x36.txt").exists(), "take a picture of it; see tests/support"
