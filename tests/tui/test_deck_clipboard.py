"""What is copied is kept by somebody, and the deck claims no more than it knows."""

# ruff: noqa: ASYNC240 - small files of the test itself
from __future__ import annotations

import base64
import os
import re
import stat
from pathlib import Path

import psutil
import pytest

from tui import clipboard
from tui.clipboard import LONGEST_KEPT, LONGEST_SENT, Clipboard


@pytest.fixture(autouse=True)
def files_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def a_tmux(folder: Path, script: str) -> dict[str, str]:
    """A program `tmux` that does what the script says; the environment of a deck that runs inside it."""
    program = folder / "tmux"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"TMUX": "/tmp/tmux-1/default,1,0", "TERM": "tmux-256color", "PATH": f"{folder}:{os.environ['PATH']}"}  # noqa: S108 - a name only


def sent_text(sequences: list[str]) -> str:
    """What a terminal puts on its clipboard when it is sent these."""
    inner = "".join(sequences).replace("\x1bP", "").replace("\x1b\\", "")
    found = re.fullmatch(r"\x1b\]52;c;([A-Za-z0-9+/=]*)\a", inner)
    assert found
    return base64.b64decode(found[1]).decode()


async def test_inside_tmux_its_buffer_and_the_clipboard_behind_it_get_the_text(tmp_path: Path) -> None:
    sent: list[str] = []
    environ = a_tmux(tmp_path, f'[ "$1 $2 $3" = "load-buffer -w -" ] && cat > {tmp_path}/buffer')
    for text in ("018f-id", "x" * 200_000, "naïve 北京\nline", ""):
        handed = await Clipboard(sent.append, environ).take(text)
        assert (tmp_path / "buffer").read_text() == text
        assert handed.kept
        assert "tmux's buffer" in handed.sentence
    assert sent == []


async def test_an_old_tmux_without_the_option_gets_the_text_too(tmp_path: Path) -> None:
    environ = a_tmux(tmp_path, f'[ "$2" = "-w" ] && exit 1; cat > {tmp_path}/buffer')
    assert "tmux's buffer" in (await Clipboard(None, environ).take("old")).sentence
    assert (tmp_path / "buffer").read_text() == "old"


async def test_a_tmux_that_hangs_or_is_not_there_is_passed_by_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clipboard, "PATIENCE", 0.2)
    hanging = a_tmux(tmp_path, "exec sleep 60")
    for environ in (hanging, hanging | {"PATH": str(tmp_path / "nowhere")}):
        sent: list[str] = []
        handed = await Clipboard(sent.append, environ).take("x")
        assert sent_text(sent) == "x"
        assert handed.sentence == "was sent to tmux, which hands it on when `set-clipboard on` is set"
    assert [child for child in psutil.Process().children() if "sleep" in child.name()] == []


async def test_elsewhere_the_terminal_is_asked_and_nobody_claims_that_it_arrived() -> None:
    for environ in ({"TERM": "xterm-256color"}, {}, {"TERM": "screen", "STY": "1.pts-0"}):
        for text in ("018f-id", "é北\x1b[31m", "y" * LONGEST_SENT):
            sent: list[str] = []
            handed = await Clipboard(sent.append, environ).take(text)
            assert sent_text(sent) == text
            assert handed.sentence == "was sent to the terminal's clipboard"
            if "STY" in environ:
                assert max(map(len, "".join(sent).split("\x1b\\"))) < 256, "screen drops a longer piece"


@pytest.mark.parametrize(("term", "length"), [("xterm", LONGEST_SENT + 1), ("linux", 36), ("vt220", 36)])
async def test_what_no_clipboard_takes_is_put_into_a_file_of_the_operators_own(term: str, length: int) -> None:
    sent: list[str] = []
    text = "z" * length
    copies = Clipboard(sent.append, {"TERM": term})
    handed = await copies.take(text)
    file = Path(handed.sentence.removeprefix("is in "))
    assert file.read_text() == text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (await copies.take("y" * length)).sentence == handed.sentence
    assert file.read_text() == "y" * length
    file.unlink()
    file.symlink_to(file.parent / "not-ours")
    handed = await copies.take(text)
    assert Path(handed.sentence.removeprefix("is in ")).read_text() == text
    assert not (file.parent / "not-ours").exists()
    assert sent == []


async def test_what_cannot_be_kept_is_said_and_not_cut_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = await Clipboard(None, {}).take("w" * (LONGEST_KEPT + 1))
    assert (handed.kept, handed.sentence) == (False, "is too long to be copied: 16,777,217 bytes")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert "could not be copied: No such file" in (await Clipboard(None, {}).take("x")).sentence
