"""What still works when a part of the services is away, and what the deck says of it."""

from __future__ import annotations

import httpx
import pytest

from tests.support.deck_harness import desk_with, opened
from tests.support.fake_gateway import FakeGateway
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
            await deck.shows("✖ NO COMMANDS  ● LIVE")
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
        await deck.shows("✖ NO COMMANDS  ✖ DISCONNECTED")
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
