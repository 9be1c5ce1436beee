"""Clipboard: hands a text to whoever can keep it for the operator, and says no more than is known of it.

Inside tmux, tmux takes it. Elsewhere the terminal is asked with the sequence OSC 52, which it never answers. A text
that is too long for that, or a terminal that has no clipboard, gets a file that only the operator may read.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from typing import NamedTuple

LONGEST_SENT = 74_000  # bytes: terminals drop a longer text, and say nothing
LONGEST_KEPT = 16 * 1024 * 1024  # bytes: what tmux or a file is given
PATIENCE = 2.0  # seconds for tmux
_PIECE = 240  # bytes: screen passes on no longer piece of a sequence
_NO_CLIPBOARD = ("linux", "vt", "ansi", "dumb", "cons", "sun")  # beginnings of TERM: consoles and real terminals


class Handed(NamedTuple):
    """What became of a text: a sentence that goes on after its name, and whether anyone has it."""

    sentence: str
    kept: bool = True


class Clipboard:
    """`write` sends a sequence to the terminal; it is None when there is no terminal."""

    def __init__(self, write: Callable[[str], object] | None, environ: Mapping[str, str] = os.environ) -> None:
        self._write = write
        self._environ = environ
        self._file = ""

    async def take(self, text: str) -> Handed:
        data = text.encode(errors="replace")
        if len(data) > LONGEST_KEPT:
            return Handed(f"is too long to be copied: {len(data):,} bytes", kept=False)
        if self._environ.get("TMUX"):
            if await asyncio.to_thread(_into_tmux, data, self._environ):
                return Handed("is in tmux's buffer (prefix ] pastes it), and was sent to the terminal's clipboard")
            sentence = "was sent to tmux, which hands it on when `set-clipboard on` is set"
        else:
            sentence = "was sent to the terminal's clipboard"
        if self._write is not None and len(data) <= LONGEST_SENT and self._has_clipboard():
            self._write(self._sequence(data))
            return Handed(sentence)
        return await asyncio.to_thread(self._into_file, data)

    def _has_clipboard(self) -> bool:
        return not self._environ.get("TERM", "").startswith(_NO_CLIPBOARD)

    def _sequence(self, data: bytes) -> str:
        """OSC 52; GNU screen passes it on to the terminal in pieces only, and only in a wrapping of its own."""
        sequence = f"\x1b]52;c;{base64.b64encode(data).decode()}\a"
        if not self._environ.get("STY") or self._environ.get("TMUX"):
            return sequence
        pieces = (sequence[n : n + _PIECE] for n in range(0, len(sequence), _PIECE))
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)

    def _into_file(self, data: bytes) -> Handed:
        """The one file of this deck: the next text replaces what is in it."""
        try:
            number = os.open(self._file, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW)
        except OSError:  # there is none yet, or somebody has taken it away
            number = 0
        try:
            if not number:
                number, self._file = tempfile.mkstemp(prefix="orderdeck-copy-", suffix=".txt")  # mode 0600
            with os.fdopen(number, "wb") as file:
                file.write(data)
        except OSError as error:
            return Handed(f"could not be copied: {error.strerror or error}", kept=False)
        return Handed(f"is in {self._file}")


def _into_tmux(data: bytes, environ: Mapping[str, str]) -> bool:
    """Whether tmux took it. A tmux before 3.2 knows no -w, with which tmux also tells the terminal's clipboard."""
    program = shutil.which("tmux", path=environ.get("PATH"))
    if program is None:
        return False
    for options in (["-w"], []):
        try:
            done = subprocess.run(  # noqa: S603 - tmux, as the operator's PATH has it
                [program, "load-buffer", *options, "-"],
                input=data,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=PATIENCE,
                check=False,
                env=dict(environ),
            )
        except (OSError, subprocess.TimeoutExpired):  # `run` has ended it, and waited for its end
            return False
        if done.returncode == 0:
            return True
    return False
