"""The second part of postgres: it watches the server that runs, and stops it when it is stopped itself."""

from __future__ import annotations

import os
import pwd
import signal
import sys
import time
from collections.abc import Callable

from core.adapters.postgres.server_watch import stop_server, wait_for_end
from core.processes import die_with_parent, give_up_privileges

PAUSE = 2  # seconds
LIVED = 10.0  # seconds after which a server that ends has not failed at its start, and is started again at once
SIGNALS = (signal.SIGTERM, signal.SIGINT)


def become_watch(server: int, socket: str, user: str) -> None:
    """Go on in this process as `watch`; a signal that comes meanwhile is kept until it has begun."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    arguments = [sys.executable, "-m", "daemons.postgres", str(server), socket, user]
    os.execv(sys.executable, arguments)  # noqa: S606 - our own interpreter


def watch(server: str, socket: str, user: str) -> None:
    """Watch the server of this pid, our child. `user`: as whom, if root has started us, or an empty text."""
    try:
        heed(_stop)
        if user:
            _drop_root(user)
        began = time.monotonic()
        sys.stderr.write(f"postgres: {wait_for_end(int(server), socket)}\n")
        if time.monotonic() - began < LIVED:
            pause()
        sys.exit(1)
    finally:
        ignore_signals()
        stop_server(int(server))


def heed(stop: Callable[..., None]) -> None:
    for number in SIGNALS:
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def pause() -> None:
    """Wait before exiting with an error: supervisord starts this program again without a pause of its own.

    It has none (startsecs=0), because with DATABASE_URL this program may end right after its start.
    """
    time.sleep(PAUSE)


def _drop_root(user: str) -> None:
    parent = os.getppid()
    give_up_privileges(pwd.getpwnam(user))
    die_with_parent()  # a change of user undoes it
    if os.getppid() != parent:
        sys.exit(1)


def _stop(*_: object) -> None:
    sys.exit(0)
