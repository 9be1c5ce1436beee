"""Does work in processes of their own, which are forked by one that has neither threads nor connections.

They are not started as programs, because a daemon that root has started, and that is an ordinary user now, may not be
allowed to read the folder of its own interpreter. All of them end with the daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable

import structlog

from core.processes import die_with_parent
from daemons.process import exits

LOOK_EVERY = 0.1  # seconds between two looks whether a process has ended

log = structlog.get_logger(__name__)


class Forks:
    """`work` is called with a number in a process of its own, which ends when it returns."""

    def __init__(self, work: Callable[[int], None]) -> None:
        """Call it before the daemon has threads, an event loop or connections."""
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(0)
        self._ended: dict[int, asyncio.Event] = {}
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # so that what they share stays shared, whatever either looks for later
        if os.fork() == 0:
            _forking(theirs, work)
        theirs.close()

    async def keep(self, stop: asyncio.Event) -> None:
        """Hear which processes have ended, until `stop` is set. Call it in a task of its own.

        If the one that forks was killed, end the daemon too: once there are threads, only a new daemon has another.
        """
        loop = asyncio.get_running_loop()
        stopping, rest = asyncio.ensure_future(stop.wait()), b""
        while not stop.is_set():
            hearing = asyncio.ensure_future(loop.sock_recv(self._ours, 4096))
            try:
                await asyncio.wait([hearing, stopping], return_when=asyncio.FIRST_COMPLETED)
            finally:  # also when this is cancelled; one that goes on would take what is sent to the next
                if not hearing.done():
                    hearing.cancel()
                    await asyncio.gather(hearing, return_exceptions=True)
            if hearing.cancelled():
                return
            try:
                heard = hearing.result()
            except ConnectionError:  # it was killed before it read what we sent
                heard = b""
            if not heard:
                log.warning("ends, because the process that forks others was killed")
                os._exit(exits.STOPPED)
            *lines, rest = (rest + heard).split(b"\n")
            for line in lines:
                self._ended.pop(int(line)).set()

    def runs(self, number: int) -> bool:
        return number in self._ended

    @property
    def count(self) -> int:
        return len(self._ended)

    def begin(self, number: int) -> asyncio.Event:
        """Begin a process; the event is set when it has ended."""
        self._ended[number] = ended = asyncio.Event()
        self._ours.send(b"+%d\n" % number)
        return ended

    def end_all(self) -> None:
        """Ask all processes to end. `runs` tells when they have."""
        for number in self._ended:
            self._ours.send(b"-%d\n" % number)


def _forking(link: socket.socket, work: Callable[[int], None]) -> None:
    """Fork a process for each number that comes, say which have ended, and end with the daemon."""
    die_with_parent()
    os.closerange(3, link.fileno())
    os.closerange(link.fileno() + 1, 1024)  # a port that the daemon has opened must close with it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the daemon ends them in its own time
    processes: dict[int, int] = {}  # by process id: the number that it was begun with
    rest = b""
    while True:
        if select.select([link], [], [], LOOK_EVERY if processes else None)[0]:
            if not (heard := link.recv(4096)):
                os._exit(0)
            *lines, rest = (rest + heard).split(b"\n")
            for line in lines:
                if line.startswith(b"+"):
                    processes[_fork(link, work, int(line))] = int(line)
                    continue
                for pid in [pid for pid, number in processes.items() if number == -int(line)]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGTERM)
        while processes:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            link.sendall(b"%d\n" % processes.pop(pid))


def _fork(link: socket.socket, work: Callable[[int], None], number: int) -> int:
    parent = os.getpid()
    if pid := os.fork():
        return pid
    die_with_parent()
    link.close()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_DFL)
    try:
        if os.getppid() == parent:
            work(number)
    except BaseException:  # noqa: BLE001 - it must not go on as the daemon would
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
