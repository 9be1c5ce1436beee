"""What operators ask of readers on the command line, when the service that answers is broken or hostile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import typer

from core.errors import Unavailable
from daemons.cli import audit, dead_letters, lists, past, rebuild, services, streams
from daemons.cli.erase import erase
from tests.support.hostile_service import OSC, RESULT, WHOLE, HostileService, answer, hostile_bodies, hostile_service

UNSAFE = set("\x1b\x07\x9b\r\u202e\u200b\x00\x7f")
Command = Callable[[], object]
COMMANDS: dict[str, tuple[Command, tuple[str, ...]]] = {
    "deadletters list": (dead_letters.list_letters, ("dead_letters",)),
    "deadletters show": (lambda: dead_letters.show("../an id?#"), ("dead_letter", "event")),
    "deadletters retry": (lambda: dead_letters.retry("an id", reason="a reason"), ("results", "failing")),
    "deadletters retry --dry-run": (
        lambda: dead_letters.retry(everything=True, reason="a reason", dry_run=True),
        ("trials", "events"),
    ),
    "events actor:": (lambda: lists.list_events(["actor:ana"]), ("events", "next_before")),
    "audit": (audit.audit, ("rows", "next_before")),
    "streams list": (streams.list_streams, ("streams", "next_after")),
    "streams show": (lambda: streams.show("../an id?#"), ("stream", "events")),
    "checkpoints": (streams.list_checkpoints, ("checkpoints",)),
    "snapshots list": (streams.list_snapshots, ("snapshots", "next_after")),
    "snapshots forget": (lambda: streams.forget("../an id?#"), ("forgotten",)),
    "compare": (lambda: past.compare("#1"), ("statuses", "sales")),
    "rebuild": (rebuild.rebuild, ("rebuilds",)),
    "rebuild orders --follow": (lambda: rebuild.rebuild("orders", follow=True), ("rebuilds",)),
    "rebuild orders --json": (lambda: rebuild.rebuild("orders", as_json=True), ("rebuilds",)),
    "erase": (lambda: erase("a customer", "a reason"), ("status",)),
}
"""With the parts of the answer that each reads."""


@pytest.fixture(scope="module")
def service() -> Iterator[HostileService]:
    with hostile_service() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORDERDECK_QUERY_URL", running.url)
        patch.setenv("ORDERDECK_COMMAND_URL", running.url)
        patch.setattr(services, "PAUSE", 0.0)
        yield running


def run(command: Command) -> str:
    """Run a command and return the sentence that it ends with; any error but ours is a traceback for its user."""
    try:
        command()
    except Unavailable as error:
        return str(error)
    except (SystemExit, typer.Exit):
        pass
    return ""


@pytest.mark.parametrize("name", COMMANDS)
def test_whatever_a_service_answers_an_operators_command_ends_with_a_sentence(
    service: HostileService, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    command, parts = COMMANDS[name]
    bodies = {"everything": json.dumps(WHOLE).encode()}
    for part in parts:
        bodies |= {f"{part}: {what}": body for what, body in hostile_bodies(WHOLE, part).items()}
        rows = WHOLE[part]
        for key in rows[0] if isinstance(rows, list) and rows else ():
            for value in (None, [], 10**40):
                bodies[f"{key} of {part}: {value}"] = json.dumps({**WHOLE, part: [{**rows[0], key: value}]}).encode()
    for what, body in bodies.items():
        service.will(answer(body, Connection="close"))
        assert len(run(command)) < 1_000, what
    shown = "".join(capsys.readouterr())
    assert not UNSAFE & set(shown)


def test_what_a_command_api_of_the_release_before_has_retried_is_shown(
    service: HostileService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.will(answer({"results": [RESULT], "done": 0, "failing": 0, "waiting": 1}, Connection="close"))
    assert run(lambda: dead_letters.retry(everything=True, reason="a reason")) == ""
    assert capsys.readouterr().out.count("at position 7") == 1


def test_a_retry_of_all_that_is_answered_with_the_same_failure_for_ever_ends(
    service: HostileService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.will(answer({**WHOLE, "done": 0, "waiting": 0, "fitting": 10**40}, Connection="close"))
    with pytest.raises(typer.Exit) as ended:
        dead_letters.retry(everything=True, reason="a reason")
    assert ended.value.exit_code == 1
    said = capsys.readouterr()
    assert said.out.count("still fails") == 1
    assert said.err.endswith("the last 1 result came again: no others are left, or none are answered\n")


@pytest.mark.parametrize(
    ("command", "page"),
    [
        (lambda: lists.list_events(["actor:ana"]), {"next_before": 5}),
        (audit.audit, {"next_before": 5}),
        (streams.list_streams, {"streams": [], "next_after": "a"}),
        (streams.list_snapshots, {"snapshots": [], "next_after": "a"}),
    ],
)
def test_pages_that_never_end_are_given_up(service: HostileService, command: Command, page: dict[str, object]) -> None:
    service.will(answer({**WHOLE, **page}, Connection="close"))
    assert "its pages do not end" in run(command)


def test_a_list_of_the_past_that_is_never_made_is_given_up(
    service: HostileService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "LONGEST_MAKING", 0.2)
    monkeypatch.setattr(services, "LOOK_EVERY", 0.05)
    service.will(answer({"detail": OSC}, Connection="close").replace(b"200 OK", b"202 No"))
    assert run(COMMANDS["compare"][0]).endswith("; ask again later")
    service.will(answer({}, Connection="close").replace(b"200 OK", b"202 No"))
    assert "cannot read" in run(COMMANDS["compare"][0])
