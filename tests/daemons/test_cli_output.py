"""What the orderdeck command prints reaches any stdout, and no stdout makes it crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemons.cli import sagas
from daemons.cli.main import app
from daemons.cli.output import one_sentence, print_or_say_why, say, tell
from tests.support.stack import ROOT, Stack

COMMANDS = (["--help"], ["doctor"], ["up", "--faß"], ["daemon", "…"])


def run(stack: Stack, *arguments: str, stdout: int, close: str = "", **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command with this stdout; `close` is a redirection of the shell such as `>&-`."""
    program = ["sh", "-c", f'exec "$@" {close}', "sh", sys.executable, "-m", "daemons.cli.main", *arguments]
    return subprocess.run(
        program, cwd=ROOT, env=stack.env | env, stdout=stdout, stderr=subprocess.PIPE, timeout=60, check=False
    )


def assert_no_crash(done: subprocess.CompletedProcess[bytes], codes: set[int]) -> None:
    assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
    assert b"Exception ignored" not in done.stderr, done.stderr.decode(errors="replace")
    assert done.returncode in codes, (done.returncode, done.stderr)


@pytest.mark.parametrize("letters", ["ascii:strict", "latin-1", "utf-16"])
def test_a_home_in_any_script_is_printed_on_a_stdout_that_knows_few_letters(tmp_path: Path, letters: str) -> None:
    stack = Stack(tmp_path / "Ünïcode-屋-👍")
    done = run(stack, "status", "--json", stdout=subprocess.PIPE, PYTHONIOENCODING=letters)
    assert_no_crash(done, {1})
    assert "running" in done.stdout.decode(letters.removesuffix(":strict"))
    done = run(stack, "ctl", "status", stdout=subprocess.PIPE, PYTHONIOENCODING=letters)
    assert_no_crash(done, {1})


def test_every_command_prints_in_a_locale_of_ascii_only(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "Ünïcode-屋")
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for command in COMMANDS:
        assert_no_crash(run(stack, *command, stdout=subprocess.PIPE, **env), {0, 1, 2})


def test_a_command_whose_reader_has_gone_ends_without_a_word(tmp_path: Path) -> None:
    for command in (["--help"], ["keys", "--help"], ["status"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = run(Stack(tmp_path / "home"), *command, stdout=writer)
        os.close(writer)
        assert_no_crash(done, {141})
        assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_command_whose_output_has_no_room_says_so_in_one_sentence(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        for command in (["--help"], ["status"]):
            done = run(Stack(tmp_path / "home"), *command, stdout=full.fileno())
            assert_no_crash(done, {1})
            assert done.stderr == b"orderdeck: the output cannot be written: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
@pytest.mark.parametrize("wrong", [False, True])
def test_a_file_that_has_no_room_is_not_said_to_be_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, wrong: bool
) -> None:
    """With a wrong setting, too: `down` goes on with one, and may then meet a disk that is full."""
    monkeypatch.setenv("ORDERDECK_HOME", str(tmp_path))
    if wrong:
        monkeypatch.setenv("ORDERDECK_TLS_CERTIFICATE", "/no/key/beside/it.pem")
    full = os.open("/dev/full", os.O_WRONLY)

    @one_sentence()
    def command() -> None:
        say("starting")
        os.write(full, b"x")

    named = "" if wrong else f" {tmp_path}"
    with pytest.raises(SystemExit, match=f"a file cannot be written, probably in the home{named}: No space left"):
        command()
    os.close(full)
    assert capsys.readouterr().out == "starting\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_supervisorctl_whose_output_has_no_room_says_so_in_one_sentence(tmp_path: Path) -> None:
    program = [
        sys.executable,
        "-c",
        "from daemons.cli.ctl import main; main()",
        "-s",
        f"unix://{tmp_path}/none",
        "status",
    ]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(program, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert_no_crash(done, {1})
    assert done.stderr == b"orderdeck: the output cannot be written: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_remark_that_cannot_be_written_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - it cannot be closed without an error
    monkeypatch.setattr(sys, "stderr", full)
    tell("the first 20 of 300")
    with pytest.raises(OSError, match="No space left"):
        full.close()


def test_what_can_be_shown_only_once_is_known_to_be_unread_when_its_reader_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert print_or_say_why(lambda: say("whsec_")) == "nobody reads the output"


def test_a_secret_is_not_shown_on_a_stdout_that_the_caller_has_closed() -> None:
    shows = "with any_stdout(): tell(str(print_or_say_why(lambda: say('whsec_'))))"
    program = f"from daemons.cli.output import any_stdout, print_or_say_why, say, tell\n{shows}"
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "its standard output is closed\n"


@pytest.mark.parametrize("close", [">&-", ">&- 2>&- <&-"])
def test_a_command_whose_outputs_are_closed_writes_into_no_file_of_its_own(tmp_path: Path, close: str) -> None:
    stack = Stack(tmp_path / "home")
    done = run(stack, "doctor", stdout=subprocess.PIPE, close=close)
    assert_no_crash(done, {0})
    for path in stack.home.path.rglob("*"):
        assert not path.is_file() or b"nothing is wrong" not in path.read_bytes()


def test_a_step_that_failed_once_has_one_failed_try(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "saga_id": "s", "name": "fulfil_order", "status": "RUNNING", "step": "", "state": "retrying", "order_id": "o",
        "started_at": "2026-03-14T12:00:00Z", "last_error": "away", "next_attempt_at": None, "open": {"items": []},
    }  # fmt: skip
    page = {"sagas": [row | {"attempts": 1}, row | {"attempts": 2}], "next_cursor": None}
    monkeypatch.setattr(sagas, "_read", lambda *_: page)
    lines = [line.strip() for line in CliRunner().invoke(app, ["saga", "list"]).stdout.splitlines()]
    assert [line for line in lines if line.endswith("away")] == ["1 failed try: away", "2 failed tries: away"]
