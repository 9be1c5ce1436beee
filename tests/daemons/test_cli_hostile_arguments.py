"""The command with arguments, a user and a pipe that are not as they should be: a sentence, and nothing is sent."""

from __future__ import annotations

import getpass
import itertools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.errors import Unavailable
from daemons.cli import lists, orders, services
from daemons.cli.main import app
from tests.support.stack import ROOT

ORDER = "0195979f-3e40-7cc1-9d2e-000000000001"
VIEW: dict[str, Any] = {
    "order_number": "ORD-1", "status": "CREATED", "payment_status": "ABSENT", "total_amount": 1, "currency": "USD",
    "created_at": "2026-01-01T00:00:00Z", "customer_id": "c", "order_id": ORDER,
}  # fmt: skip


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a request was sent")

    monkeypatch.setattr(orders, "send", refuse)
    monkeypatch.setattr(services, "ask", refuse)


def test_an_order_or_a_key_that_no_request_can_have_is_refused_before_one_is_sent() -> None:
    for name in ("", " ", "..", "nonsense", f"{ORDER}/", f"{ORDER}?dry_run=true", f"../orders/{ORDER}"):
        for command in (["show"], ["confirm"], ["cancel", "--reason", "x"]):
            done = run("order", command[0], name, *command[1:])
            assert done.exit_code == 2, (name, command, done.output, done.exception)
            assert "neither an order's number" in done.stderr
    for key in ("", " ", "a b", "a\nb", "é", "\udcff", "k" * 256):
        done = run("order", "confirm", ORDER, "--key", key)
        assert done.exit_code == 2, (key, done.output, done.exception)
        assert "--key must be" in done.stderr
    for body in ("null", "[]", '"text"', "1", ""):
        done = run("order", "place", stdin=body)
        assert done.exit_code == 2, (body, done.output, done.exception)


def test_bytes_that_are_no_text_and_a_reader_who_has_gone_end_the_command_without_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daemons.cli.main", "saga", "list", "--state", b"Zo\xeb"],
        cwd=ROOT, capture_output=True, check=False, timeout=60,
        env=os.environ | {"ORDERDECK_QUERY_URL": "http://127.0.0.1:9", "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr == b"orderdeck: Zo? (after --state) is no text in UTF-8\n"
    script = (
        "from daemons.cli import main, orders\n"
        f"page = {{'orders': [{VIEW!r}], 'total': 1, 'total_estimated': False, 'next_cursor': None}}\n"
        "orders.read = lambda *_: page\n"
        "main.main()"
    )
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, "orders"], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_user_without_a_name_or_with_a_strange_one_can_send_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert services.actor() == str(os.getuid())
    for name, told in {"a\nX: 1": "a?X: 1", "Łucja": "?ucja", "a\udcff": "a?", " ": "?"}.items():
        monkeypatch.setattr(getpass, "getuser", lambda name=name: name)
        assert services.actor() == told


def test_a_long_list_is_printed_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = list[int]()

    def page(_: str, parameters: Mapping[str, str | Sequence[str]]) -> Any:
        number = int(str(parameters.get("cursor", "0")))
        assert len(printed) == number, "the page before this one was not printed yet"
        rows = [VIEW] * int(str(parameters["limit"]))
        return {"orders": rows, "total": 1_000, "total_estimated": False, "next_cursor": str(number + 1)}

    monkeypatch.setattr(orders, "read", page)
    monkeypatch.setattr(orders, "say_rows", lambda _fields, rows, *_, **__: printed.append(len(rows)))
    assert run("orders", "--limit", "250").exit_code == 0
    assert printed == [100, 100, 50]


def test_events_are_followed_across_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    event = {"timestamp": "2026-01-01T00:00:00Z", "event_type": "OrderCreated", "aggregate_type": "order"}
    event |= {"aggregate_id": ORDER, "version": 1, "payload": {}}
    looks = itertools.count()

    def read(_: str, parameters: Mapping[str, str | Sequence[str]], **__: bool) -> Any:
        match next(looks):
            case 0:
                return {"events": [], "head": 7, "next_after": 7}
            case 1 | 2 | 3:
                raise Unavailable("nothing answers")
            case 4:
                assert parameters["after"] == "7"
                return {"events": [event | {"position": 8}], "head": 8, "next_after": 8}
            case _:
                raise KeyboardInterrupt

    for module in (lists, services):
        monkeypatch.setattr(module, "read", read)
        monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setattr(services, "ASK_AGAIN", 0.0)
    done = run("events", "--follow")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["8"]
    assert done.stderr.count("nothing answers") == 1
    assert "going on" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit", "--caller", "\udcff"],
        ["streams", "list", "--prefix", "\udcff"],
        ["webhooks", "add", "https://shop.example.com/\udcff"],
        ["saga", "list", "--state", "\udcff"],
        ["saga", "retry", ORDER, "--reason", "\udcff"],
        ["deadletters", "retry", "--all", "--reason", "\udcff"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_bytes_that_are_no_text_are_refused_in_whatever_would_be_sent(arguments: list[str]) -> None:
    assert isinstance(run(*arguments).exception, UnicodeEncodeError)
