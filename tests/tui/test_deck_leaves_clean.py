"""Whatever ends the deck, the terminal is left as it was; these tests run it on a real pseudo-terminal."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import sys
from pathlib import Path

import pytest

from tests.support.deck_in_terminal import ROOT, deck_in_terminal


@pytest.mark.parametrize(
    ("number", "troubles", "keys"),
    [
        (signal.SIGTERM, ["flood"], ""),
        (signal.SIGHUP, [], "n"),  # while a dialog is open
        (signal.SIGINT, [], "/\udcff\udcfestatus:"),  # while a filter is typed, with bytes that are no UTF-8
        (signal.SIGQUIT, ["deaf"], ""),
        (signal.SIGTERM, ["deaf", "flood"], "?"),
    ],
)
def test_a_signal_ends_the_deck_with_its_exit_code_and_a_clean_terminal(
    number: signal.Signals, troubles: list[str], keys: str
) -> None:
    with deck_in_terminal(*troubles) as terminal:
        terminal.until("ORD-0000000029")
        if keys:
            seen = len(terminal.drawn)
            terminal.send(keys)
            terminal.until({"n": "New order", "/": "status:", "?": "Keys"}[keys[0]], since=seen)
        terminal.signal(number)
        assert terminal.ended() == 128 + number
        assert terminal.left_behind() == set()


def test_a_deck_that_hangs_is_ended_by_the_second_signal() -> None:
    with deck_in_terminal() as terminal:
        terminal.until("ORD-0000000029")
        terminal.send("\x1b[21~")  # f10
        terminal.read(0.3)
        terminal.signal(signal.SIGTERM, signal.SIGTERM)
        assert terminal.ended() == 143
        assert terminal.left_behind() == set()


def test_a_fault_in_the_deck_is_one_sentence_and_a_private_file(tmp_path: Path) -> None:
    with deck_in_terminal(environ={"XDG_STATE_HOME": str(tmp_path)}) as terminal:
        terminal.until("ORD-0000000029")
        terminal.send("\x1b[20~")  # f9
        assert terminal.ended() == 1
        assert terminal.left_behind() == set()
        said = terminal.drawn.rpartition(b"\x1b[?1049l")[2].decode().replace("\r\n", "")
    file = tmp_path / "orderdeck" / "deck-fault.txt"
    assert "orderdeck: a fault in the deck ended it (RuntimeError: a fault that a test has put in)" in said.replace(
        "\r\n", ""
    )
    assert "deck-fault.txt" in said
    assert "Traceback" not in said
    assert "in key_f9" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_deck_whose_terminal_is_gone_ends() -> None:
    with deck_in_terminal("flood") as terminal:
        terminal.until("ORD-0000000029")
        os.close(terminal.master)
        _, status = os.waitpid(terminal.pid, 0)
        terminal.code = os.waitstatus_to_exitcode(status)
        assert terminal.code == 128 + signal.SIGHUP


def test_ctrl_z_gives_the_terminal_back_and_fg_draws_the_deck_again() -> None:
    """In a shell with job control, since only such a shell lets a stopped process go on."""
    with deck_in_terminal(
        program=["/bin/bash", "--norc", "--noprofile", "-i"], environ={"PS1": "prompt> "}
    ) as terminal:
        terminal.until("prompt> ")
        terminal.send(f"{shlex.quote(sys.executable)} -m tests.support.deck_in_terminal\n")
        for _ in range(2):
            terminal.until("ORD-0000000029")
            terminal.send("\x1a")
            terminal.until("Stopped")
            assert terminal.left_behind() <= {"mode 2004", "echo"}, "bash has its own line editor"
            terminal.drawn = b""
            terminal.send("fg\n")
        terminal.until("ORD-0000000029")
        seen = len(terminal.drawn)
        terminal.send("\x11")  # ctrl+q
        terminal.until("prompt> ", since=seen)
        terminal.send("echo code $?\n")
        terminal.until("code 0")


def test_a_stopped_deck_can_be_ended_and_a_deck_that_was_never_told_to_stop_goes_on() -> None:
    with deck_in_terminal() as terminal:
        terminal.until("ORD-0000000029")
        terminal.signal(signal.SIGSTOP, signal.SIGCONT)
        seen = len(terminal.drawn)
        terminal.until("ORD-0000000029", since=seen)
        for key in "2121":  # two threads that read keys would each get some of them, and swallow parts of sequences
            seen = len(terminal.drawn)
            terminal.send(key)
            terminal.until("received" if key == "2" else "ORD-0000000029", since=seen)
        terminal.send("\x1a")
        terminal.until("only where a shell can let it go on")
        terminal.signal(signal.SIGTSTP)
        terminal.stopped()
        assert terminal.left_behind() == set()
        terminal.signal(signal.SIGTERM, signal.SIGCONT)
        assert terminal.ended() == 143
        assert terminal.left_behind() == set()


@pytest.mark.parametrize(("term", "said"), [("dumb", "TERM=dumb"), ("", "TERM is not set")])
def test_a_terminal_that_can_draw_nothing_gets_one_sentence(term: str, said: str) -> None:
    program = [sys.executable, "-c", "from daemons.cli.start import main; main()", "tui"]
    with deck_in_terminal(program=program, environ={"TERM": term}) as terminal:
        assert terminal.ended() == 1
        assert said in terminal.drawn.decode()
        assert b"\x1b" not in terminal.drawn
        assert len(terminal.drawn.splitlines()) <= 2


def test_in_a_c_locale_every_byte_is_ascii_and_the_cursor_row_has_its_mark() -> None:
    """`--ascii` sets the same switch."""
    program = [sys.executable, "-c", "from daemons.cli.start import main; main()", "tui"]
    addresses = {"ORDERDECK_COMMAND_PORT": "1", "ORDERDECK_QUERY_PORT": "1", "ORDERDECK_HOME": str(ROOT / "nowhere")}
    with deck_in_terminal(program=program, environ={"LANG": "C", **addresses}) as terminal:
        terminal.until("x DISCONNECTED")
        terminal.send("?")
        terminal.until("Keys")
        terminal.signal(signal.SIGTERM)
        assert terminal.ended() == 143
        assert terminal.drawn.isascii()
