"""The deck as a process on a pseudo-terminal, as an operator has it: keys go in, bytes come out, the kernel counts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from core.processes import die_with_parent

ROOT = Path(__file__).parents[1]
SIZE = (160, 50)
_START = "import sys; sys.argv = ['orderdeck', 'tui', *sys.argv[1:]]; from daemons.cli.start import main; main()"
_TICKS = os.sysconf("SC_CLK_TCK")
_WITHIN = 20.0  # seconds


@dataclass
class RunningDeck:
    """`received` is how many bytes it has drawn; `drawn` the last of them."""

    pid: int
    master: int
    started: float = field(default_factory=time.perf_counter)
    received: int = 0
    drawn: bytes = b""

    def read(self, seconds: float) -> bytes:
        if not select.select([self.master], [], [], seconds)[0]:
            return b""
        data = os.read(self.master, 1 << 20)
        self.received += len(data)
        self.drawn = (self.drawn + data)[-200_000:]
        return data

    def until(self, text: str) -> float:
        """Read until this text has been drawn from now on; seconds that it took."""
        begin, wanted, seen = time.perf_counter(), text.encode(), b""
        while wanted not in seen:
            if time.perf_counter() - begin > _WITHIN:
                raise SystemExit(f"the deck never drew {text!r}; the last it drew: {self.drawn[-3000:]!r}")
            seen += self.read(0.5)
        return time.perf_counter() - begin

    def press(self, keys: str, text: str) -> float:
        """Seconds from a key to the text that shows its effect."""
        os.write(self.master, keys.encode())
        return self.until(text)

    def send(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def watch(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(min(left, 0.5))

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def memory(self) -> float:
        """Megabytes that it holds in memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="utf-8").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000


@contextlib.contextmanager
def running_deck(port: int) -> Generator[RunningDeck]:
    """The deck on the server at this port; it is ended after the block, and dies when we are killed."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    home = {"HOME": os.environ.get("HOME", "/"), "PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT)}
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-c", _START, f"--command-url={url}", f"--query-url={url}"]
    pid = os.fork()
    if pid == 0:
        try:
            die_with_parent()
            os.login_tty(slave)
            os.execve(argv[0], argv, home | {"TERM": "xterm-256color", "LANG": "C.UTF-8"})  # noqa: S606 - our own interpreter
        finally:
            os._exit(99)
    os.close(slave)
    deck = RunningDeck(pid, master)
    try:
        yield deck
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _reap(deck)
        os.close(master)


def _reap(deck: RunningDeck) -> None:
    deadline = time.perf_counter() + 5
    while not os.waitpid(deck.pid, os.WNOHANG)[0]:
        with contextlib.suppress(OSError):
            deck.read(0.05)
        if time.perf_counter() > deadline:
            os.kill(deck.pid, signal.SIGKILL)
            deadline += 60
