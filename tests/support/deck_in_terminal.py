"""A deck in a real terminal: a process on a pseudo-terminal, what it has drawn, and how it left the terminal.

Run as a program it is that process: a deck over the fake gateway, with the troubles that its arguments name.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHIN = 60.0  # seconds


def readable(file: int, seconds: float) -> bool:
    """Whether it can be read within that time. Unlike select, poll takes any number that a file may have."""
    waiting = select.poll()
    waiting.register(file, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


class TerminalOfTheDeck:
    """`drawn` is every byte that the process has written."""

    def __init__(self, pid: int, master: int) -> None:
        self.pid = pid
        self.master = master
        self.drawn = b""
        self.code: int | None = None
        self.before = termios.tcgetattr(master)

    def until(self, text: str, *, since: int = 0) -> None:
        """Read until this text has been drawn after the first `since` bytes."""
        deadline = time.monotonic() + WITHIN
        while text.encode() not in self.drawn[since:]:
            open_still = self.read(0.1)
            assert open_still and time.monotonic() < deadline, f"{text!r} never came: {self.drawn[-2000:]!r}"  # noqa: PT018 - one reason or the other

    def read(self, seconds: float) -> bool:
        """Whether the process still has the terminal open."""
        if not readable(self.master, seconds):
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # as Linux says that nobody has the other end open
            return False
        self.drawn += data
        return bool(data)

    def send(self, keys: str) -> None:
        r"""Surrogates, as in `\udcff`, stand for bytes that are no UTF-8."""
        os.write(self.master, keys.encode(errors="surrogateescape"))

    def signal(self, *numbers: int) -> None:
        for number in numbers:
            os.kill(self.pid, number)

    def ended(self) -> int:
        """Wait for the end of the process; its exit code, negative when a signal ended it."""
        deadline = time.monotonic() + WITHIN
        while self.code is None:
            assert time.monotonic() < deadline, f"it does not end; the end of it: {self.drawn[-2000:]!r}"
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        while self.read(0) and readable(self.master, 0):
            pass
        return self.code

    def stopped(self) -> None:
        """Wait until the process is stopped."""
        deadline = time.monotonic() + WITHIN
        while not os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)[0]:
            assert time.monotonic() < deadline, "it does not stop"
            self.read(0.05)

    def left_behind(self) -> set[str]:
        """What is not as it was before the deck drew on the terminal; nothing, when the terminal is clean."""
        modes = {int(mode): on == b"h" for mode, on in re.findall(rb"\x1b\[\?(\d+)([hl])", self.drawn)}
        usual = {7: True, 25: True}  # line wrap and the cursor; every other mode is off
        left = {f"mode {mode}" for mode, on in modes.items() if on != usual.get(mode, False)}
        if len(re.findall(rb"\x1b\[>\d+u", self.drawn)) > len(re.findall(rb"\x1b\[<u", self.drawn)):
            left.add("keyboard protocol")
        return left | ({"echo"} if termios.tcgetattr(self.master) != self.before else set())


@contextmanager
def deck_in_terminal(
    *troubles: str,
    program: list[str] | None = None,
    environ: dict[str, str] | None = None,
    size: tuple[int, int] = (100, 30),
) -> Generator[TerminalOfTheDeck]:
    """The process is killed at the end, if it has not ended by then."""
    argv = program or [sys.executable, "-m", "tests.support.deck_in_terminal", *troubles]
    known = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "TMUX", "STY", "NO_COLOR"))
    }
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    pid = os.fork()
    if pid == 0:
        try:
            os.login_tty(slave)
            os.chdir(ROOT)
            os.execve(argv[0], argv, kept | known | (environ or {}))  # noqa: S606 - our own interpreter
        finally:
            os._exit(99)
    terminal = TerminalOfTheDeck(pid, master)
    os.close(slave)
    try:
        yield terminal
    finally:
        if terminal.code is None:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
            os.waitpid(pid, 0)
        with suppress(OSError):
            os.close(master)


# --- the process ------------------------------------------------------------------------------------------------------


def main(troubles: list[str]) -> int:
    from tests.support.deck_harness import desk_with  # noqa: PLC0415 - the tests of this process need none of it
    from tui.app import DeckApp  # noqa: PLC0415 - as above
    from tui.viewmodels.ring import RingFrame  # noqa: PLC0415 - as above

    class Troubled(DeckApp):
        CSS_PATH = ROOT / "tui" / "app.tcss"

        def on_mount(self) -> None:
            if "flood" in troubles:
                self.run_worker(self._flood())
            if "deaf" in troubles:  # it never does what it is asked to
                self.exit = lambda *_: None  # type: ignore[method-assign,assignment]

        def key_f9(self) -> None:
            raise RuntimeError("a fault that a test has put in")

        def key_f10(self) -> None:
            time.sleep(60)  # no key, no signal and no picture is dealt with meanwhile

        async def _flood(self) -> None:
            data = json.dumps({"event_type": "OrderCreated", "text": "x" * 200}).encode()
            for n in range(1_000, 10_000_000):
                self.desk.feed.ring.push(RingFrame(n, "OrderCreated", data))
                if n % 250 == 0:  # some thousand events a second
                    await asyncio.sleep(0.05)

    app = Troubled(desk_with(30))
    with app.leaving.watched():
        app.run()
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
