"""The Daemons view when several processes of a daemon run, here and elsewhere: who holds what, and what is wrong."""

from __future__ import annotations

from typing import Any

from tests.support.deck_harness import desk_with, opened
from tests.support.fake_daemons import FakeDaemons
from tests.support.pictures import entries_of
from tui.viewmodels.daemon_line import about, cells
from tui.viewmodels.daemons import PATH, DaemonsModel
from tui.views.daemons import DaemonsView

READY: dict[str, Any] = {"answers": True, "ready": True, "pid": 4_000, "uptime": 60.0}
STOCK = READY | {"name": "projector-1", "port": 9201, "holds": [{"what": "stock"}]}
ORDERS = READY | {
    "name": "projector-2", "port": 9301, "holds": [{"what": "orders 0-5"}], "sagas": 0,
    "readers": [{"name": "projector.orders", "position": 88, "lag": {"events": 0, "seconds": 0}}],
}  # fmt: skip
OTHER = {"host": "desk-two\x1b[2J", "pid": 12, "holds": [{"what": "starts 0,3"}, {"what": "\x1b]0;x"}], "sagas": 3}


async def test_of_several_processes_each_has_a_line_with_what_it_holds_and_those_elsewhere_are_only_shown() -> None:
    daemons = FakeDaemons({"command-api": 2, "projector": 2})
    gateway = desk_with(3)
    gateway.answers[PATH] = {"daemons": [STOCK, ORDERS], "elsewhere": [OTHER]}
    async with opened(gateway, (120, 36), entries_of("orders", "daemons"), daemons) as deck:
        deck.app.deck.show("daemons", "projector.orders")
        await deck.shows(f"{len(daemons.programs)} of {len(daemons.programs)} well  1 elsewhere")
        assert "▌projector-2" in deck.text(), "the process in which this reader is"
        view = deck.app.deck.views["daemons"]
        assert isinstance(view, DaemonsView)
        model = view.model
        lines = {line.name: line for line in model.lines}
        assert [cells(lines[name])[-1].text for name in ("projector-1", "projector-2")] == ["stock", "orders 0-5"]
        assert {"it answers at port 9301", "it holds orders 0-5"} <= set(about(lines["projector-2"]))
        other = model.lines[-1]
        assert (other.name, other.holds) == ("desk-two·[2J:12", "starts 0,3, ·]0;x, 3 sagas")
        assert not other.well
        for verb in ("start", "stop", "restart"):
            assert "it is steered where it runs" in str(model.why_not(verb, other))
        await deck.press("G", "K")
        assert "it is steered where it runs" in deck.text()
        await deck.press("enter")
        await deck.shows("it holds starts 0,3, ·]0;x, 3 sagas")
        await deck.press("escape")

        # one of two command APIs may be stopped like any daemon; without the last one nobody can place an order
        assert not model.needed(lines["command-api-1"])
        assert await model.do("restart", "projector-2") == "restart projector-2: it is RUNNING, pid 5001"
        await model.do("stop", "command-api-2")
        await model.look_at_states()
        assert model.needed(next(line for line in model.lines if line.name == "command-api-1"))


async def test_what_does_not_work_in_a_daemon_that_is_ready_is_told() -> None:
    daemons, lacks = FakeDaemons(), "orders are not cached: Redis at 127.0.0.1:6379 cannot be reached"
    daemons.degraded["projector"] = lacks
    gateway = desk_with(3)
    gateway.answers[PATH] = {
        "daemons": [READY | {"name": "projector", "holds": [{"what": "orders"}], "degraded": lacks}]
    }
    afar = DaemonsModel(gateway, lambda: None)
    await afar.ask_daemons()
    async with opened(gateway, (120, 36), entries_of("orders", "daemons"), daemons) as deck:
        deck.app.deck.show("daemons", "projector")
        await deck.shows(f"{len(daemons.programs)} of {len(daemons.programs)} well  1 degraded")
        await deck.shows(f"projector: {lacks}")
        view = deck.app.deck.views["daemons"]
        assert isinstance(view, DaemonsView)
        for line in (*afar.lines, *(each for each in view.model.lines if each.name == "projector")):
            assert (line.well, line.reason) == (True, "")
            assert [cell.text for cell in cells(line)][-3:] == ["yes", "–", lacks]
            assert {f"it is ready, but {lacks}", "it holds orders"} <= set(about(line))


async def test_a_deck_that_is_large_enough_shows_every_daemon_and_still_a_log() -> None:
    daemons = FakeDaemons({"projector": 4, "saga-runner": 2})
    for size, all_ in (((80, 24), False), ((120, 36), True)):
        async with opened(desk_with(3), size, entries_of("orders", "daemons"), daemons) as deck:
            deck.app.deck.show("daemons")
            await deck.shows("projector-1")
            text = deck.text()
            assert all(name in text for name in daemons.programs) is all_
            assert "LOG" in text
