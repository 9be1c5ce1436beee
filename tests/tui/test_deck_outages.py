"""What still works when a part of the services is away, and what the deck says of it."""

from __future__ import annotations

import httpx
import pytest

from tests.support.deck_harness import desk_with, opened
from tests.support.fake_desk import START
from tests.support.fake_gateway import FakeGateway
from tests.support.listed import Stepped
from tui.desk import Desk
from tui.gateway import CommandToSend, ServiceRefused, TimedOut, Unreachable
from tui.http_gateway import HttpGateway

AWAY = Unreachable("http://desk.test:8081 does not answer")


async def test_a_command_is_sent_while_the_query_api_is_away_and_its_receipt_claims_nothing() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        gateway.queries_down, gateway.feed_down = AWAY, True
        gateway.cut_feed()
        await deck.shows("✖ DISCONNECTED")
        assert "ORD-0000000000" in deck.text(), "the last data stays"
        await deck.press("c")
        await deck.shows("Cancel ORD-0000000000")
        await deck.type("changed my mind")
        await deck.press("enter")
        await deck.shows("→ not seen, since http://desk.test:8081 does not answer")
        assert "✔ cancel" in deck.text()
        assert [command.verb for command, _ in gateway.sent] == ["cancel"]
        gateway.queries_down, gateway.feed_down = None, False
        await deck.press("ctrl+r")
        await deck.shows("CANCELLED")
        await deck.caught_up()
        assert (deck.desk.feed.lost, deck.desk.feed.duplicates) == (0, 0)


async def test_no_command_is_sent_while_the_command_api_is_away_although_the_feed_is_live() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        for away in (
            Unreachable("desk.test:8080 does not answer"),
            TimedOut("desk.test:8080 has not answered in time"),
        ):
            gateway.commands_down = away
            await deck.desk.measure()
            await deck.shows("✖ NO COMMANDS 0s  ● LIVE")
            for key in ("n", "a", "c"):
                await deck.press(key)
                await deck.shows(f"{away}: no command can be sent until it does")
            gateway.commands_down = None
            await deck.desk.measure()
            await deck.until(lambda: "no command" not in deck.text().lower())  # it is no longer true
        gateway.commands_down = ServiceRefused(503, "unavailable", "the database is away")  # it answers
        await deck.desk.measure()
        assert deck.desk.why_no_writes() is None
        assert not gateway.sent


async def test_a_deck_that_is_opened_while_nothing_answers_says_so_and_goes_on_when_something_does() -> None:
    gateway = FakeGateway()
    gateway.queries_down = gateway.commands_down = AWAY
    gateway.feed_down = True
    async with opened(gateway, size=(80, 24)) as deck:
        await deck.shows("✖ DISCONNECTED")
        await deck.desk.measure()
        deck.app._say_what_to_start()
        await deck.shows("✖ NO COMMANDS >0s  ✖ DISCONNECTED 0s")
        *_, notice, _keys = deck.lines()
        assert "`orderdeck up` starts it here; --query-url" in notice
        gateway.queries_down = gateway.commands_down = None
        gateway.feed_down = False
        gateway.place(1)
        await deck.press("ctrl+r")
        await deck.shows("ORD-0000000001")
        await deck.until(lambda: "orderdeck up" not in deck.text())


async def test_a_deck_that_only_reads_refuses_in_the_view_and_below_it() -> None:
    gateway = desk_with(1)
    gateway.read_only = True
    async with opened(gateway) as deck:
        assert "READ ONLY" in deck.lines()[0]
        for key in ("n", "a", "c"):
            await deck.press(key)
            await deck.shows("this deck only reads (--read-only)")
            assert deck.app.screen is deck.app.deck
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return httpx.Response(200, stream=httpx.ByteStream(b'{"events": []}'))

    http = HttpGateway("http://c.test", "http://q.test", transport=httpx.MockTransport(answer), read_only=True)
    commands = [CommandToSend("cancel", "o-1", {"reason": "x"}), CommandToSend("place", None, {"customer_id": "c"})]
    for command in [*commands, CommandToSend("retry", "s-1", {"reason": "x"}, kind="saga")]:
        with pytest.raises(ServiceRefused, match="only reads"):
            await http.send(command, key="k")
        assert await http.dry_run(command) == []
    assert asked == ["PUT", "POST", "POST"], "the dry runs alone"
    await http.close()


DAEMONS = {
    "postgres": "the database is away: no server has opened its socket",
    "command-api": "the database is away: no server has opened its socket",
    "query-api": "its dependencies did not answer within 1.5 s",
}
FROZEN = {"name": "saga-runner", "answers": False, "ready": False, "reason": "has not answered within 2 s"}
WELL = [{"name": name, "answers": True, "ready": True} for name in (*DAEMONS, "projector")]


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_while_only_the_database_is_away_the_top_line_says_so_and_since_when_and_then_that_it_is_back(
    size: tuple[int, int],
) -> None:
    gateway = desk_with(1)
    gateway.answers["/api/v1/daemons"] = {"daemons": WELL}
    async with opened(gateway, size=size) as deck:
        await deck.shows("● LIVE")
        await deck.desk.measure()
        waiting = [{"name": name, "ready": False, "reason": reason} for name, reason in DAEMONS.items()]
        gateway.answers["/api/v1/daemons"] = {"daemons": [*waiting, WELL[-1]]}
        gateway.health_down = ServiceRefused(503, "unavailable", DAEMONS["postgres"])
        await deck.desk.measure()
        deck.clock.seconds += 75
        await deck.shows("✖ DATABASE AWAY 1m 15s")
        top = deck.lines()[0]
        assert "no server has" in top
        assert not any(word in top for word in ("LIVE", "lag", "ev/s", "-api", "projector")), top
        gateway.answers["/api/v1/daemons"], gateway.health_down = {"daemons": WELL}, None
        await deck.desk.measure()
        deck.app._say_what_is_back()
        await deck.shows("✔ the database is back after 1m 15s")
        await deck.shows("● LIVE")


async def test_a_query_api_that_hangs_with_an_open_feed_is_no_live_desk() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        await deck.shows("● LIVE")
        await deck.desk.measure()
        gateway.queries_down = TimedOut("http://desk.test:8081 has not answered in time")
        await deck.desk.measure()
        deck.clock.seconds += 5
        await deck.shows("✖ NO READS 5s")
        assert "has not answered in time" in deck.lines()[0]
        assert "LIVE" not in deck.lines()[0]
        gateway.queries_down = None
        await deck.desk.measure()
        await deck.shows("● LIVE")


async def test_what_was_away_when_the_query_api_went_is_not_said_to_be_back() -> None:
    gateway = desk_with(1)
    database = {"name": "postgres", "ready": False, "reason": DAEMONS["postgres"]}
    clock = Stepped()
    desk = Desk(gateway, clock=clock, now=lambda: START, debounce=0)
    for queries_down, daemons, reads, back in (
        (None, [database, FROZEN], "the database", []),
        (AWAY, [], "the query API", []),
        (None, [database], "the database", ["saga-runner is back after >10s", "the query API is back after 5s"]),
    ):
        gateway.queries_down, gateway.answers["/api/v1/daemons"] = queries_down, {"daemons": daemons}
        await desk.measure()
        assert desk.outages.reads is not None
        assert (desk.outages.reads.part, desk.outages.came_back()) == (reads, back)
        clock.now += 5


async def test_a_deck_whose_key_may_not_ask_how_far_the_readers_are_is_live_all_the_same() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        gateway.health_down = ServiceRefused(403, "forbidden", "the key is for other routes")
        await deck.desk.measure()
        await deck.shows("● LIVE")
        assert deck.desk.outages.reads is None


async def test_daemons_that_are_away_or_do_without_something_are_named_with_how_long_and_told_when_they_are_back() -> (
    None
):
    gateway = desk_with(1)
    without = {"name": "projector", "ready": True, "degraded": "orders are not cached: Redis cannot be reached"}
    async with opened(gateway) as deck:
        await deck.shows("● LIVE")
        for daemons, shown, back in (
            ([], "● LIVE  pos", None),
            ([without], "● LIVE  ▲ projector 3s  ⚠ 1", None),
            ([without, FROZEN], "● LIVE  ✖ saga-runner 3s +1  ⚠ 2", None),
            ([without], "● LIVE  ▲ projector 9s  ⚠ 1", "✔ saga-runner is back after 3s"),
            ([], "● LIVE  pos", "✔ projector has all it needs again after 9s"),
        ):
            gateway.answers["/api/v1/daemons"] = {"daemons": daemons}
            await deck.desk.measure()
            deck.clock.seconds += 3
            deck.app._say_what_is_back()
            await deck.shows(shown)
            if back:
                await deck.shows(back)
