"""Ports for the programs of a test, which no other test gets, not even one of another process."""

from __future__ import annotations

import fcntl
import os
import random
import socket
from functools import cache
from pathlib import Path

# Below the ports that Linux and macOS give to connections, so that no client's end can sit on one of them.
FIRST, LAST = 20_000, 32_000

_ours: set[int] = set()


def free_port(*, several: int = 0) -> int:
    """A TCP port that nothing listens on, and that is ours until this process ends.

    With `several` so are the ports 100, 200 … above it, which that many processes of one program have.
    A program that is killed by its test finds its port free when it starts again. The claim is a lock on the byte of
    that number in a file: of the processes that run tests only one can hold it, and all its claims are one open file.
    """
    for _ in range(LAST - FIRST):
        port = random.randrange(FIRST, LAST)
        wanted = {port + 100 * n for n in range(several + 1)}
        claimed = {each for each in wanted if _claim(each)}
        if claimed == wanted:
            return port
        for each in claimed:
            _give_up(each)
    raise AssertionError(f"no port from {FIRST} to {LAST} was found free")


def _claim(port: int) -> bool:
    if port in _ours:
        return False
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    _ours.add(port)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            _give_up(port)
            return False
    return True


def _give_up(port: int) -> None:
    _ours.remove(port)
    fcntl.lockf(_claims(), fcntl.LOCK_UN, 1, port)


@cache
def _claims() -> int:
    """The open file of all claims. Every run of this user has the same, wherever its temporary files are."""
    return os.open(Path("/tmp") / f"orderdeck-test-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)  # noqa: S108
