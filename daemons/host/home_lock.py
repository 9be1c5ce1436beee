"""The lock of a home: only one `up` or `down` acts on it at a time, and nobody waits for it for ever."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Generator
from pathlib import Path

from core.errors import ConfigurationError
from core.home import Home, unwritable

LOCK_LIMIT = 150  # seconds; a `down` that has to kill everything takes less
LOOK_EVERY = 0.05  # seconds
TAKEN = {errno.EAGAIN, errno.EACCES}


@contextlib.contextmanager
def locked(home: Home) -> Generator[None]:
    """Hold the home's lock within the block; the kernel releases it when we die.

    Raises ConfigurationError when another process holds it for LOCK_LIMIT seconds, or when it is no file of ours.
    """
    lock = _open(home.lock)
    try:
        deadline = time.monotonic() + LOCK_LIMIT
        while not _take(lock):
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"another process{_holder(lock)} has held {home.lock} for {LOCK_LIMIT} s: end it, then try again"
                )
            time.sleep(LOOK_EVERY)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def _open(path: Path) -> int:
    try:
        # O_NOFOLLOW and O_NONBLOCK: a link would lead us to another file, and a pipe would keep us waiting.
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO}:
            raise _not_ours(path) from None
        raise unwritable(path.parent, error) from None
    status = os.fstat(lock)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        os.close(lock)
        raise _not_ours(path)
    os.fchmod(lock, 0o600)  # so that nobody else may open it, and lock it
    return lock


def _not_ours(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} is no file of ours: remove it, or set another ORDERDECK_HOME")


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        return False
    return True


def _holder(lock: int) -> str:
    pid = os.pread(lock, 20, 0).decode(errors="replace").strip()
    return f" (pid {pid})" if pid.isdigit() else ""
