"""Starts daemons as forks of one process that has loaded them, since to load one takes 0.6 s of CPU each time.

Each fork has its own environment and log, and ends with the process that runs the tests, as a daemon of its own would.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from core.processes import die_with_parent
from daemons.host.forked_programs import FOR_ALL, PARTS, exit_code_of
from tests.support.deck_in_terminal import readable
from tests.support.forked_command import freeze

ROOT = Path(__file__).parents[2]
LOADED = (*FOR_ALL, *PARTS.values())
SERVER = "from tests.support.forked_daemon import serve; serve()"


class ForkedDaemon:
    """What `python ARGUMENTS` is: a module (-m NAME) or a script (-c TEXT and its arguments), with its output in a log.

    It has those methods of `subprocess.Popen` that tests use.
    """

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._forks = _forks()
        self.pid = self._forks.start({"arguments": list(arguments), "env": dict(env), "log": str(log)})
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._forks.exit_code(self.pid)
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"pid {self.pid}", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Forks:
    """The process that forks. It tells on its stdout which forks it has started, and how each has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # tests wait in threads
        self._ended: dict[int, int] = {}
        self._rest = b""
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
        )
        atexit.register(self._process.communicate)  # its stdin ends, so it ends too

    def start(self, asked: Mapping[str, Any]) -> int:
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
            while not (started := self._read(60)):
                assert self._process.poll() is None
            return started[0]

    def exit_code(self, pid: int) -> int | None:
        with self._lock:
            self._read(0)
            return self._ended.get(pid)

    def _read(self, within: float) -> list[int]:
        """Take in what was told, and return the pids of forks that were started."""
        assert self._process.stdout is not None
        started: list[int] = []
        while readable(self._process.stdout.fileno(), 0 if started else within):
            more = os.read(self._process.stdout.fileno(), 65536)
            assert more, "the process that forks has ended"
            *lines, self._rest = (self._rest + more).split(b"\n")
            for line in lines:
                what, pid, code = line.split()
                if what == b"started":
                    started.append(int(pid))
                else:
                    self._ended[int(pid)] = int(code)
        return started


_one: list[_Forks] = []


def _forks() -> _Forks:
    if not _one:
        _one.append(_Forks())
    return _one[0]


# --- in the process that forks ------------------------------------------------------------------------------
def serve() -> None:
    for name in LOADED:
        import_module(name)
    freeze()
    wake, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    rest = b""
    while True:
        readable = select.select([0, wake], [], [])[0]
        if wake in readable:
            os.read(wake, 4096)
        _tell_ends()
        if 0 in readable:
            if not (more := os.read(0, 65536)):
                return
            *lines, rest = (rest + more).split(b"\n")
            for line in lines:
                fork = os.fork()
                if fork == 0:
                    signal.set_wakeup_fd(-1)
                    for end in (wake, wakes):
                        os.close(end)
                    _become(json.loads(line))
                os.write(1, b"started %d 0\n" % fork)


def _tell_ends() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        os.write(1, b"ended %d %d\n" % (pid, os.waitstatus_to_exitcode(status)))


def _become(asked: dict[str, Any]) -> None:
    """Be the daemon that is asked for, and end as it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    die_with_parent()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    if any(value != os.environ.get(name) for name, value in asked["env"].items() if name.startswith("PYTHON")):
        python = [sys.executable, *asked["arguments"]]  # what these say, only a Python that starts obeys
        os.execve(sys.executable, python, asked["env"])  # noqa: S606 - no shell is wanted
    os.environ.clear()
    os.environ.update(asked["env"])
    kind, what, *more = asked["arguments"]

    def run() -> None:
        if kind == "-m":
            sys.argv = [what, *more]
            module = import_module(what)  # and not run as __main__: its metrics are there once only
            (module if hasattr(module, "main") else import_module(f"{what}.__main__")).main()
        else:
            sys.argv = ["-c", *more]
            exec(compile(what, "<script>", "exec"), {"__name__": "__main__"})  # noqa: S102 - a test's own script

    os._exit(exit_code_of(run))
