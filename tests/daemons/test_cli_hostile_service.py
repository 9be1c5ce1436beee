"""The command with a broken or hostile service: no traceback, no endless wait, nothing that a terminal obeys."""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from core.errors import Unavailable
from core.printable import clean, clean_json, clean_lines
from core.settings import load_settings
from daemons.cli import sagas
from daemons.cli.ctl import CleanStream
from daemons.cli.demo import scenes
from daemons.cli.output import fail, say, say_json
from daemons.cli.verify import _ledger_over_http
from daemons.host import bounded_http
from daemons.host.bounded_http import BROKEN, ask
from daemons.host.status import _holdings, _projections, as_table, get_json, stack_status
from tests.support.hostile_service import (
    CHUNK,
    DRIPPING,
    ENDLESS,
    NESTED,
    OSC,
    SAGA,
    HostileService,
    answer,
    bomb,
    hostile_bodies,
    hostile_service,
)

UNSAFE = set("\x1b\x07\x9b\r\u202e\u200b\x00\x7f")
MOST_MEMORY = 120 * 1024 * 1024  # bytes; an answer may have 16 MiB


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileService]:
    with hostile_service() as running:
        monkeypatch.setenv("ORDERDECK_QUERY_URL", running.url)
        monkeypatch.setenv("ORDERDECK_QUERY_PORT", running.url.rpartition(":")[2])
        monkeypatch.setenv("ORDERDECK_COMMAND_URL", running.url)
        monkeypatch.setattr(sagas, "WITHIN", 0.5)
        yield running


def commands() -> dict[str, Callable[[], object]]:
    return {
        "list": lambda: sagas.list_sagas(limit=20, as_json=False, state="", status="", order_id=""),
        "list --json": lambda: sagas.list_sagas(limit=20, as_json=True, state="", status="", order_id=""),
        "show": lambda: sagas.show("an/id?#", as_json=False),
        "show --json": lambda: sagas.show("..", as_json=True),
        "show --picture": lambda: sagas.show("an id", picture=True),
        "retry": lambda: sagas.retry("an id", "a reason"),
        "demo": lambda: scenes.run(load_settings()),
    }


def run(command: Callable[[], object]) -> str:
    """Run a command and return the sentence that it ends with; any error but ours is a traceback for its user."""
    try:
        command()
    except Unavailable as error:
        return str(error)
    except SystemExit as end:
        return str(end.code)
    return ""


def test_texts_of_strangers_are_printed_without_anything_that_a_terminal_obeys(
    service: HostileService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.will(answer({**SAGA, "sagas": [SAGA], "next_cursor": OSC}, Connection="close"))
    for name, command in commands().items():
        said = run(command)
        shown = "".join(capsys.readouterr())
        assert shown + said, name
        assert not UNSAFE & set(shown), (name, shown)
        if "json" in name:
            assert OSC in json.dumps(json.loads(shown), ensure_ascii=False) or json.loads(shown), name
    service.will(answer({"error": OSC}, Connection="close").replace(b"200 OK", b"400 No"))
    for name, command in commands().items():
        assert not UNSAFE & set(run(command)), name


def test_whatever_a_service_answers_the_command_ends_with_a_sentence(
    service: HostileService, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies: dict[bytes, str] = {}  # some are the same whatever the key
    for key in SAGA:
        bodies |= {body: f"{key}: {what}" for what, body in hostile_bodies(SAGA, key).items()}
        saga = {**SAGA, key: None}
        bodies[json.dumps({"sagas": [saga], "next_cursor": None}).encode()] = f"a list with {key}: null"
    for body, what in bodies.items():
        service.will(answer(body, Connection="close"))
        for name in ("list", "show", "show --picture"):
            assert len(run(commands()[name])) < 1_000, (name, what)
    assert not UNSAFE & set("".join(capsys.readouterr()))


@pytest.mark.parametrize("what", ["bomb", "endless", "dripping", "many", "silent"])
def test_an_answer_without_end_or_that_would_unpack_to_gigabytes_is_given_up_in_time(
    service: HostileService, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    match what:
        case "bomb":
            service.will(bomb(150))
        case "endless":
            service.will(ENDLESS, CHUNK)
        case "dripping":
            service.will(DRIPPING, b" ", 0.02)
        case "many":
            service.will(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 1_000, 0.001)
        case _:
            service.will(b"", b"", 0.0)
    monkeypatch.setattr(bounded_http, "LARGEST", 4 * 1024 * 1024)
    tracemalloc.start()
    try:
        for command in ("list", "show --json"):
            began = time.monotonic()
            assert "has not answered as it should" in run(commands()[command])
            assert time.monotonic() - began < 10
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def test_a_status_that_a_service_makes_up_is_told_and_breaks_nothing(service: HostileService, tmp_path: Any) -> None:
    bodies = [b"[]", b"null", b"1", NESTED, b'{"reason": 1, "projections": 3}', b'{"projections": [{"name": null}]}']
    for body in bodies:
        service.will(answer(body, Connection="close"))
        with contextlib.suppress(*BROKEN):
            get_json(service.url + "/ready")
        assert len(_projections(load_settings(home=tmp_path))) == 0
        assert _holdings(load_settings(home=tmp_path)) == ({}, [], None)
    assert not UNSAFE & set(as_table(stack_status(load_settings(home=tmp_path / "nothing"))))


def test_status_says_up_to_where_kafka_has_the_log_if_nobody_copies_it_any_more(
    service: HostileService, tmp_path: Any
) -> None:
    settings = load_settings(home=tmp_path / "nothing")
    copy = {"position": 40, "events": 1_260}
    service.will(answer({"daemons": [], "elsewhere": [], "frozen_copy": copy}, Connection="close"))
    status = replace(stack_status(settings), frozen_copy=_holdings(settings)[2])
    assert (
        as_table(status).splitlines()[-1]
        == "Kafka's copy of the log is frozen at position 40, 1260 events behind, since KAFKA_BROKERS is not set"
    )
    assert json.loads(status.as_json())["frozen_copy"] == copy
    for none in ({"frozen_copy": None}, {}):
        service.will(answer({"daemons": [], "elsewhere": [], **none}, Connection="close"))
        assert "Kafka" not in as_table(replace(status, frozen_copy=_holdings(settings)[2]))


def test_a_ledger_without_end_is_given_up(service: HostileService) -> None:
    service.will(answer({"charges": [], "next_cursor": 0}, Connection="close"))
    with pytest.raises(ValueError, match="no end"):
        _ledger_over_http(service.url)


def test_what_is_said_is_clean_and_a_json_document_still_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.dumps({"a": OSC, "b": "東京 👩\u200d👧 \x7f\U000e0001"}, ensure_ascii=False, indent=2)
    say_json(document)
    shown = capsys.readouterr().out
    assert json.loads(shown) == json.loads(document)
    assert not UNSAFE & set(shown)
    say(f"one\ntwo {OSC}", dim=True)
    assert capsys.readouterr().out == f"one\ntwo {clean(OSC)}\n"
    with pytest.raises(SystemExit) as end:
        fail(f"no {OSC}")
    assert not UNSAFE & set(str(end.value.code))
    assert clean_lines(clean_json("a\r\n\x1b")) == "a\\u000d\n\\u001b"


def test_the_end_of_a_log_is_printed_clean(capsys: pytest.CaptureFixture[str]) -> None:
    import sys  # noqa: PLC0415 - the stream that the fixture has put in place

    CleanStream(sys.stdout).write(f"a line\r\nand {OSC}\n")
    shown = capsys.readouterr().out
    assert shown.startswith("a line\nand ·")
    assert not UNSAFE & set(shown)


def test_a_request_names_what_is_wrong_with_an_answer(service: HostileService) -> None:
    service.will(answer(b"x" * 100, Content_Encoding="gzip", Connection="close"))
    with pytest.raises(ValueError, match="compressed"):
        ask(service.url, within=5)
