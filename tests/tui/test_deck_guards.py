"""A read-only deck sends nothing whatever is pressed, and a deck on production asks once more."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from tests.support.deck_harness import desk_with, opened
from tests.support.fake_gateway import FakeGateway
from tui.config import DeckConfig
from tui.daemons import Daemons, DaemonsError
from tui.dialogs.ask import Ask
from tui.gateway import CommandToSend, Gateway
from tui.gateway_guards import (
    READING,
    READING_DAEMONS,
    AskingGateway,
    NotSent,
    ReadOnlyDaemons,
)


def members(protocol: type) -> set[str]:
    return {name for name in (*vars(protocol), *inspect.get_annotations(protocol)) if not name.startswith("_")}


def test_all_that_a_gateway_and_daemons_can_do_is_known_to_read_or_to_write() -> None:
    assert members(Gateway) == READING | {"send"}
    assert members(Daemons) <= READING_DAEMONS | {"start", "stop", "restart"}
    assert {"start", "stop", "restart"} <= members(Daemons)


def test_a_read_only_deck_steers_no_daemon() -> None:
    daemons = ReadOnlyDaemons(FakeGateway())  # type: ignore[arg-type]
    for name in ("start", "stop", "restart", "something_new"):
        with pytest.raises(DaemonsError, match="only reads"):
            getattr(daemons, name)
    assert daemons.where
    with pytest.raises(NotSent):
        _ = AskingGateway(FakeGateway(), print).something_new  # type: ignore[arg-type]


async def test_a_deck_on_production_shows_it_and_asks_once_more() -> None:
    gateway = desk_with(2)
    async with opened(gateway, (80, 24), config=DeckConfig(profile="prod", confirm=True)) as deck:
        assert "[prod]" in deck.lines()[0]
        await deck.press("c", *"no stock", "enter")
        await deck.shows("Really on prod?")
        assert isinstance(deck.app.screen, Ask)
        await deck.press("n")
        await deck.shows("nothing was sent")
        assert not gateway.sent
        await deck.press("c", "enter")
        await deck.shows("Really on prod?")
        await deck.press("y")
        await deck.until(lambda: gateway.sent)
        await deck.press("n", "ctrl+g", "ctrl+s")
        await deck.shows("Really on prod?")
        await deck.press("escape")
        await deck.shows("nothing was sent")
        assert len(gateway.sent) == 1


async def test_a_command_that_is_sent_again_under_its_key_is_not_asked_for_again() -> None:
    gateway, asked = desk_with(1), list[str]()

    async def ask(command: CommandToSend) -> bool:
        asked.append(command.verb)
        return True

    guarded = AskingGateway(gateway, ask)  # type: ignore[arg-type]
    order = next(iter(gateway.views))
    for _ in range(2):
        await guarded.send(CommandToSend("confirm", order), key="one")
    await guarded.send(CommandToSend("cancel", order, {"reason": "x"}), key="two")
    assert asked == ["confirm", "cancel"]
    await asyncio.sleep(0)
