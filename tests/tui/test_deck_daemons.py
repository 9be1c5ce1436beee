"""The Daemons view: what is known of each daemon, its log, and what is done to it; near and from afar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.support.deck_harness import Deck, desk_with, opened
from tests.support.fake_daemons import FakeDaemons
from tests.support.fake_gateway import FakeGateway
from tests.support.pictures import entries_of, same_picture
from tui.daemons import DaemonsError, LogPart
from tui.gateway import Unreachable
from tui.viewmodels.attention import DaemonAnswer, of_daemon
from tui.viewmodels.daemon_line import about, cells
from tui.viewmodels.daemons import FROM_AFAR, PATH, DaemonsModel
from tui.viewmodels.tail import MOST_CHARACTERS, MOST_LINES, Tail, shown_line
from tui.viewmodels.trend import trend

GOLDEN = Path(__file__).parent / "golden"
REASON = "orders: stands still at position 5 of 9: the next event has been waiting for 41 s"


def said(name: str, **changes: Any) -> dict[str, Any]:
    known = {"name": name, "answers": True, "ready": True, "pid": 4_000, "uptime": 60.0, "reason": "", "readers": []}
    return known | changes


def gateway_that_says(*daemons: dict[str, Any]) -> FakeGateway:
    gateway = desk_with(3)
    gateway.answers[PATH] = {"daemons": daemons}
    return gateway


BEHIND = {
    "lag": {"events": 12_000, "seconds": 41.0},
    "readers": [{"name": "projector.orders", "position": 88, "lag": {"events": 12_000, "seconds": 41.0}}],
}


# --- what is known ----------------------------------------------------------------------------------------------------
async def looked(model: DaemonsModel) -> DaemonsModel:
    await model.look_at_states()
    await model.ask_daemons()
    return model


async def test_a_line_has_what_supervisord_the_daemon_and_the_query_api_say() -> None:
    daemons = FakeDaemons()
    daemons.unready["projector"] = REASON
    model = DaemonsModel(gateway_that_says(said("projector", **BEHIND), said("somebody-elses")), lambda: daemons)
    await looked(model)
    line = next(line for line in model.lines if line.name == "projector")
    assert (line.state, line.pid, line.ready, line.reason) == ("RUNNING", 4_104, False, REASON)
    assert [cell.text for cell in cells(line)] == [
        "projector", "● RUNNING", "4104", "26h 03m", "0", "no", "41.0s", REASON,
    ]  # fmt: skip
    assert "somebody-elses" not in {line.name for line in model.lines}
    assert not line.well
    assert "reader projector.orders at position 88: 12,000 events, 41.0s behind" in about(line)
    daemons.crash("projector")
    await looked(model)
    await daemons.stop("saga-runner")
    await looked(model)
    lines = {line.name: line for line in model.lines}
    assert (lines["projector"].exits, lines["saga-runner"].exits, lines["postgres"].exits) == (1, 1, 0)
    assert (lines["saga-runner"].ready, lines["saga-runner"].reason) == (False, "stopped")


async def test_a_frozen_daemon_runs_for_supervisord_and_gives_no_answer_as_the_alarms_say_too() -> None:
    daemons = FakeDaemons()
    daemons.unready["projector"] = "has not answered within 2 s"
    frozen = said("projector", answers=False, ready=False, reason="has not answered within 2 s at :9101", pid=None)
    model = await looked(DaemonsModel(gateway_that_says(frozen), lambda: daemons))
    line = next(line for line in model.lines if line.name == "projector")
    assert (line.state, line.reason) == ("NO ANSWER", "has not answered within 2 s")
    assert model.why_not("stop", line) is None
    assert "runs already" in (model.why_not("start", line) or "")
    assert of_daemon(DaemonAnswer("projector", answers=False, ready=False))[0].state == line.state


async def test_what_is_not_known_is_not_guessed() -> None:
    daemons, gateway = FakeDaemons(), FakeGateway()
    gateway.queries_down = Unreachable("desk.test does not answer")
    model = await looked(DaemonsModel(gateway, lambda: daemons))
    assert model.silent == "desk.test does not answer"
    assert {line.ready for line in model.lines} == {True}, "they were asked themselves"
    assert {cells(line)[6].text for line in model.lines} == {"–"}
    gateway.queries_down = None
    gateway.answers[PATH] = {"daemons": [said("projector"), said("query-api", answers=False, ready=False, pid=None)]}
    daemons.down = DaemonsError("supervisord has ended, and left its socket behind: /run/s")
    await looked(model)
    assert model.away.startswith("supervisord has ended")
    assert [(line.name, line.state) for line in model.lines] == [("projector", "READY"), ("query-api", "NO ANSWER")]
    assert model.why_not("start", model.lines[1]) == model.away
    for hostile in ({"daemons": [said("\x1b[2J" * 99, reason="\x1b]52;c;x\a" * 99)]}, {"daemons": "many"}, {}, []):
        gateway.answers[PATH] = hostile
        try:
            await looked(model)
        except ValueError:  # the fake does not do what the real gateway does with a strange answer
            continue
        assert all(text.isprintable() for line in model.lines for text in (line.name, line.reason))


async def test_from_afar_it_only_reads_and_a_daemon_that_does_not_answer_has_not_ended_for_that() -> None:
    gateway = gateway_that_says(said("projector", pid=7))
    model = await looked(DaemonsModel(gateway, lambda: None))
    assert [(line.state, line.pid, line.exits) for line in model.lines] == [("READY", 7, 0)]
    assert model.why_not("stop", model.lines[0]) == FROM_AFAR
    for pid, exits in ((None, 0), (7, 0), (8, 1)):
        gateway.answers[PATH] = {
            "daemons": [said("projector", pid=pid, answers=pid is not None, ready=pid is not None)]
        }
        await looked(model)
        assert model.lines[0].exits == exits
    with pytest.raises(DaemonsError):
        await model.do("start", "projector")


def test_a_trend_is_told_only_when_it_is_more_than_noise() -> None:
    assert trend([1, 2, 4, 8]) == "up"
    assert trend([8.0, None, 4, 2, 0]) == "down"
    assert trend([5, 5.2, 4.9, 5.1]) == "level"
    assert trend([None, None, 1]) == "level"
    assert trend([0.01, 0.02, 0.05], least=0.3) == "level"
    assert trend([]) == "level"


# --- its log ----------------------------------------------------------------------------------------------------------
def test_a_tail_is_bounded_counts_its_hits_and_says_what_is_missing() -> None:
    tail = Tail("projector")
    tail.take(LogPart("one\nTwo\nthr", 11))
    assert [tail.line(n).text for n in range(tail.last)] == ["one", "Two"]  # type: ignore[union-attr]
    tail.take(LogPart("ee\n", 14))
    tail.look_for("t")
    assert (tail.hits, tail.hit(tail.last, -1), tail.hit(2, -1), tail.hit(2, 1)) == (2, 2, 1, 1)
    tail.take(LogPart("new\n", 4, anew=True))
    tail.take(LogPart("more\n", 900, skipped=800))
    assert [tail.line(n).text for n in range(3, tail.last)] == [  # type: ignore[union-attr]
        "┄ the log was begun anew ┄", "new", "┄ 800 bytes left out ┄", "more",
    ]  # fmt: skip
    tail.look_for("hit")
    for n in range(3):
        tail.take(LogPart("a hit\nnone\n" * MOST_LINES, n))
    assert tail.last - tail.first == MOST_LINES
    assert tail.hits == MOST_LINES // 2
    assert tail.line(tail.first - 1) is None
    tail.take(LogPart("x" * 10_000_000, 5))  # a line without an end
    tail.take(LogPart(("y" * 1_900 + "\n") * MOST_LINES, 6))
    assert sum(len(tail.line(n).text) for n in range(tail.first, tail.last)) <= MOST_CHARACTERS  # type: ignore[union-attr]


def test_a_line_of_a_log_is_shown_as_a_person_reads_it_and_obeys_nothing() -> None:
    line = {
        "event": "waits",
        "level": "warning",
        "timestamp": "2026-03-14T09:26:53.589Z",
        "daemon": "x",
        "reason": "no",
    }
    assert shown_line(json.dumps(line)) == [("09:26:53.589 warning waits  reason=no", "warn")]
    fault = json.dumps(line | {"level": "error", "exception": "Traceback\n  File x\nKeyError: 1"})
    assert [cell.text for cell in shown_line(fault)][1:] == ["  Traceback", "    File x", "  KeyError: 1"]
    for strange in (
        "{",
        '{"a": 1}',
        "{" * 90_000,
        '{"event": "\x1b[2J"}',
        "\x1b]0;x\a[bold]",
        '{"event": ' + "9" * 9_999 + "}",
    ):
        assert all(cell.text.isprintable() and len(cell.text) < 4_000 for cell in shown_line(strange))


# --- on the screen ----------------------------------------------------------------------------------------------------
async def later(deck: Deck) -> None:
    """A second passes, and the view has looked again."""
    deck.clock.seconds += 1
    deck.app.deck.tick()
    await deck.pilot.pause()
    await deck.pilot.pause()


async def test_an_operator_sees_why_a_daemon_is_not_ready_and_reads_its_log() -> None:
    daemons = FakeDaemons()
    daemons.logs["projector"] = "".join(f"line {n}\n" for n in range(200)) + "KeyError: 7\nlast\n"
    daemons.unready["projector"] = REASON
    async with opened(gateway_that_says(said("projector", **BEHIND)), (80, 24), daemons=daemons) as deck:
        await deck.press("4")
        await deck.shows("5 of 6 well")
        await deck.press("j", "j", "j", "j")
        await deck.shows("projector: orders: stands still at position 5 of 9")
        await deck.shows("KeyError: 7")
        for word in ("● RUNNING", "4104", "26h 03m", "41.0s", "● FOLLOW", "K stop…", "R restart…"):
            assert word in deck.text(), "\n".join(deck.lines())
        await deck.press("s")
        assert "projector runs already: it is RUNNING" in deck.text()
        # what is logged is seen; a search stops it and finds the line
        daemons.logs["projector"] += "newest\n"
        await later(deck)
        await deck.shows("newest")
        for key in (*"/keyerr", "enter"):  # in one burst, as over a slow connection
            deck.post(key)
        await deck.shows("“keyerr” in 1 line (n N)")
        await deck.shows("⏸ PAUSED")
        await deck.press("escape", "escape")
        await deck.shows("● FOLLOW")


async def test_an_operator_restarts_and_stops_daemons_and_is_told_what_became_of_them() -> None:
    daemons = FakeDaemons()
    async with opened(gateway_that_says(said("projector", **BEHIND)), daemons=daemons) as deck:
        await deck.press("4")
        await deck.shows("6 of 6 well")
        await deck.press("j", "j", "j", "j")
        # a restart asks, and says what became of it
        for key in "Ry":
            deck.post(key)
        await deck.shows("✔ restart projector: it is RUNNING, pid 5001")
        assert daemons.asked[-1][0] != "stop"
        # a crash is seen within the second
        daemons.crash("saga-runner")
        await later(deck)
        await deck.until(
            lambda: any("saga-runner" in line and "5002" in line and " 1 " in line for line in deck.lines())
        )
        # postgres is stopped only by its name
        await deck.press("home", "K")
        await deck.shows("Type postgres to stop it")
        await deck.press(*"yes")
        await deck.press("enter")
        await deck.shows("postgres was not typed")
        assert daemons.programs["postgres"].state == "RUNNING"
        for key in (*"Kpostgres", "enter"):
            deck.post(key)
        await deck.shows("✔ stop postgres: it is STOPPED")
        await deck.press("K")
        assert "postgres does not run: it is STOPPED" in deck.text()
        # what fails is told, and a dead supervisord keeps what was known
        daemons.breaks.add("postgres")
        await deck.press(*"sy")
        await deck.shows("✖ start postgres: postgres ended at its start")
        daemons.down = DaemonsError("supervisord does not run: there is no socket /run/s")
        await later(deck)
        await deck.shows("✖ supervisord does not run")
        await deck.press("K")
        assert "supervisord does not run: there is no socket /run/s" in deck.text()
        daemons.down = None
        await deck.press("ctrl+r", "enter")
        await deck.shows("its last process ended with exit code 1")
        await deck.press("escape")


async def test_a_deck_far_away_reads_and_says_why_its_keys_do_nothing() -> None:
    gateway = gateway_that_says(
        said("projector", answers=False, ready=False, reason="does not answer at 10.0.0.1:9101")
    )
    async with opened(gateway, (80, 24)) as deck:
        deck.app.deck.show("daemons", "projector.orders")
        await deck.shows("from the query API, which only looks")
        await deck.shows("✖ NO ANSWER")
        await deck.shows("projector: does not answer at 10.0.0.1:9101")
        for key in "sKRFi/":
            await deck.press(key)
            assert "--supervisor" in deck.text(), key
        gateway.queries_down = Unreachable("desk.test does not answer")
        await later(deck)
        await deck.shows("Nothing is known of the daemons")


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_daemons_view_looks_like_its_picture(size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    daemons = FakeDaemons()
    daemons.unready["projector"] = REASON
    when = "2026-03-14T09:26:5"
    lines = [
        {"event": "ready", "level": "info", "timestamp": f"{when}0.100000Z", "daemon": "projector"},
        {"reason": "the database is away", "event": "waits", "level": "warning", "timestamp": f"{when}1.250000Z"},
        {
            "event": "fault",
            "level": "error",
            "timestamp": f"{when}2.5Z",
            "exception": "Traceback (most recent call last):",
        },
    ]
    daemons.logs["projector"] = "".join(json.dumps(line) + "\n" for line in lines)
    await daemons.stop("saga-runner")
    async with opened(
        gateway_that_says(said("projector", **BEHIND)), size, entries_of("orders", "daemons"), daemons
    ) as deck:
        deck.app.deck.show("daemons")
        await deck.shows("4 of 6 well")
        await deck.press("j", "j", "j", "j")
        await deck.shows("waits")
        await same_picture(deck, GOLDEN / f"daemons-{size[0]}x{size[1]}.txt", snapshot, svg=False)
