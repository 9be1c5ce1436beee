"""The key that the deck shows: where it comes from, and what becomes of a deck that is not let in."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from core.credentials import show_key
from core.errors import ConfigurationError
from core.settings import Settings
from daemons.cli.deck import DeckOptions, open_deck
from tests.support.deck_harness import opened
from tests.support.fake_gateway import FakeGateway
from tui.feed import REFUSED_DELAY, Feed
from tui.gateway import CommandToSend, ServiceRefused
from tui.http_gateway import HttpGateway
from tui.shown_key import PAUSE, WHAT_TO_DO, ShownKey
from tui.viewmodels.ring import Ring

COMMANDS, QUERIES = "http://desk:1", "http://desk:2"
PROBLEM = {"status": 401, "code": "key_not_valid", "error": "this key is not known here"}
SECRET = "od_aaaaaaaaaa_" + "0" * 64


def strict_gateway(seen: list[httpx.Request], key: str | None = SECRET, status: int = 401) -> HttpGateway:
    """A gateway to services that answer with this status."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, stream=httpx.ByteStream(json.dumps(PROBLEM | {"status": status}).encode()))

    return HttpGateway(COMMANDS, QUERIES, transport=httpx.MockTransport(answer), show=lambda _: key)


async def test_each_request_shows_the_key_and_no_address_has_it() -> None:
    seen: list[httpx.Request] = []
    gateway = strict_gateway(seen)
    with pytest.raises(ServiceRefused):
        await gateway.health()
    with pytest.raises(ServiceRefused):
        await gateway.send(CommandToSend("confirm", "o-1"), key="k")
    assert [request.headers["Authorization"] for request in seen] == [f"Bearer {SECRET}"] * 2
    assert not any(SECRET in str(request.url) for request in seen)


async def test_a_service_that_does_not_know_the_key_is_not_asked_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[httpx.Request] = []
    gateway = strict_gateway(seen)
    now = 100.0
    monkeypatch.setattr(gateway, "_key", ShownKey(lambda _: SECRET, lambda: now))
    for _ in range(50):
        with pytest.raises(ServiceRefused, match="needs a key that it knows: set ORDERDECK_API_KEY_FILE") as refused:
            await gateway.health()
        assert SECRET not in str(refused.value)
        with pytest.raises(ServiceRefused):
            await anext(gateway.feed(after=0))
    assert len(seen) == 1
    with pytest.raises(ServiceRefused):
        await gateway.ask_for_commands()  # the other service may know it
    now += PAUSE
    with pytest.raises(ServiceRefused):
        await gateway.health()
    assert [str(request.url.copy_with(query=None)) for request in seen][1:] == [
        f"{COMMANDS}/api/v1/caller", f"{QUERIES}/api/v1/projections",
    ]  # fmt: skip


async def test_a_command_that_the_role_does_not_allow_is_refused_in_the_words_of_the_service() -> None:
    seen: list[httpx.Request] = []
    gateway = strict_gateway(seen, status=403)
    for _ in range(2):
        with pytest.raises(ServiceRefused, match="this key is not known here"):
            await gateway.send(CommandToSend("confirm", "o-1"), key="k")
    assert len(seen) == 2


async def test_the_role_of_the_key_is_asked_for_once_also_where_it_is_not_told() -> None:
    for status in (403, 404):
        seen: list[httpx.Request] = []
        gateway = strict_gateway(seen, status=status)
        assert [await gateway.ask_for_commands() for _ in range(3)] == [""] * 3
        assert [request.url.path for request in seen] == ["/api/v1/caller", "/health", "/health"]


async def test_a_viewer_sees_at_once_that_no_command_is_for_him_and_none_is_tried() -> None:
    gateway = FakeGateway()
    gateway.place(2)
    gateway.role = "viewer"
    async with opened(gateway, size=(160, 24)) as deck:
        await deck.desk.measure()
        await deck.shows("VIEWER")
        await deck.shows("ORD-0000000002")
        for key in ("n", "a", "c"):
            await deck.press(key)
            await deck.shows("this deck's key has the role viewer")
        gateway.role = "operator"
        await deck.desk.measure()
        await deck.press("n")
        await deck.shows("Dry run")
    assert [command.verb for command in gateway.dry_runs] == ["place"]
    assert gateway.sent == []


async def test_a_form_that_is_refused_because_of_the_key_asks_once_however_much_is_typed() -> None:
    gateway = FakeGateway()
    gateway.commands_down = ServiceRefused(403, "route_not_allowed", "the key of ana is not for POST /api/v1/orders")
    async with opened(gateway, size=(160, 24)) as deck:
        await deck.press("n")
        await deck.shows("the key of ana is not for POST")
        for letter in "acme-1":
            await deck.press(letter)
            await deck.pilot.pause(0.01)
        await deck.shows("acme-1")
    assert len(gateway.dry_runs) == 1


async def test_the_feed_waits_long_before_it_asks_again_where_it_is_not_let_in() -> None:
    now = 0.0
    feed = Feed(strict_gateway([]), Ring(), lambda: now)
    running = asyncio.create_task(feed.run())
    while feed.state != "lost":
        await asyncio.sleep(0)
    running.cancel()
    assert feed.refused
    assert feed.retry_at == REFUSED_DELAY
    assert "needs a key" in feed.reason


async def test_a_home_that_gets_its_key_while_the_deck_is_open_lets_it_in(tmp_path: Path) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b'{"head": 0, "projections": [], "readers": []}'))

    show = show_key(None, tmp_path)
    gateway = HttpGateway("http://127.0.0.1:1", "http://127.0.0.1:2", transport=httpx.MockTransport(answer), show=show)
    await gateway.health()
    key = tmp_path / "home.key"
    key.write_text("0" * 64)
    key.chmod(0o644)
    with pytest.raises(ServiceRefused, match="run chmod 600"):
        await gateway.health()
    key.chmod(0o600)
    await gateway.health()
    assert ["Authorization" in request.headers for request in seen] == [False, True]


async def test_a_key_that_replaces_another_in_its_file_is_shown_from_then_on_by_an_open_deck(tmp_path: Path) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(200, stream=httpx.ByteStream(b'{"head": 0, "projections": [], "readers": []}'))

    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text("od_old")
    show = Settings(home=tmp_path, api_key_file=key).shows
    gateway = HttpGateway("http://127.0.0.1:1", "http://127.0.0.1:2", transport=httpx.MockTransport(answer), show=show)
    for text in ("od_old", "", "od_new\n"):  # `keys rotate > FILE` leaves the file empty for a second
        key.write_text(text)
        await gateway.health()
    key.unlink()
    await gateway.health()
    assert seen == ["Bearer od_old", "Bearer od_old", "Bearer od_new", "Bearer od_new"]


async def test_a_deck_that_is_not_let_in_says_the_whole_reason_where_there_is_room() -> None:
    gateway = FakeGateway()
    sentence = f"{QUERIES} needs a key that it knows: {WHAT_TO_DO}"
    gateway.queries_down = gateway.commands_down = ServiceRefused(401, "key_not_valid", sentence)
    async with opened(gateway, size=(220, 24)) as deck:
        await deck.shows("✖ DISCONNECTED")
        assert sentence in deck.lines()[0]


async def test_a_deck_that_is_not_let_in_says_what_to_do() -> None:
    gateway = FakeGateway()
    sentence = f"{QUERIES} needs a key that it knows: {WHAT_TO_DO}"
    gateway.queries_down = gateway.commands_down = ServiceRefused(401, "key_not_valid", sentence)
    async with opened(gateway, size=(160, 24)) as deck:
        await deck.shows("✖ DISCONNECTED")
        await deck.desk.measure()
        deck.app._say_what_to_start()
        await deck.shows("needs a key that it knows: set ORDERDECK_API_KEY_FILE")
        assert "`orderdeck up`" not in deck.text()
        gateway.queries_down = gateway.commands_down = None
        gateway.place(1)
        await deck.press("ctrl+r")
        await deck.shows("ORD-0000000001")
        await deck.until(lambda: "needs a key" not in deck.text())


def test_a_profile_whose_key_others_can_read_opens_no_deck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, folder = tmp_path / "key", tmp_path / "orderdeck"
    folder.mkdir()
    (folder / "config.toml").write_text(f'[profiles.prod]\napi_key_file = "{key}"\n')
    key.write_text(SECRET)
    key.chmod(0o644)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("tui.terminal.why_no_deck", lambda: "")
    monkeypatch.setattr("tui.app.run", lambda *_, **__: 0)
    with pytest.raises(ConfigurationError, match="run chmod 600") as refused:
        open_deck(DeckOptions(profile="prod"))
    assert SECRET not in str(refused.value)
    key.chmod(0o600)
    assert open_deck(DeckOptions(profile="prod")) == 0
