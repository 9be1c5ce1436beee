"""Where the temporary files of a test run are: in memory if it fits, since PostgreSQL makes 300 files a database.

Each run has a folder of its own there. One that is killed cannot remove what it has made, so the next one does. Other
users may go through the folders of tests, since root's homes lie in them: PostgreSQL, which runs as another user, would
else have its data in /var/lib, on a disk, where a server takes three times the CPU to make.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - every folder there gets a name of its own, as in /tmp
NAME = "od-tests-"  # and the pid of the run's first process
NEEDS = 8 * 1024**3  # bytes; a run uses a quarter of it


def in_memory(place: Path = IN_MEMORY) -> None:
    """Make temporary files of this process, and of all it starts, in memory, unless somebody has named a folder."""
    if "TMPDIR" in os.environ or not _fits(place):
        return
    remove_left_over(place)
    folder = place / f"{NAME}{os.getpid()}"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o1777)  # as /tmp has it, since PostgreSQL may run as another user
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None  # it may have been looked up already


def remove_left_over(place: Path) -> None:
    """Remove the folders of runs that have ended and of which no process is left, such as one that ends a stack."""
    of_runs = {path: path.name.removeprefix(NAME) for path in place.glob(f"{NAME}*")}
    ended = [path for path, pid in of_runs.items() if pid.isdecimal() and not psutil.pid_exists(int(pid))]
    if ended:
        used = {(process.info["environ"] or {}).get("TMPDIR") for process in psutil.process_iter(["environ"])}
        for path in ended:
            if str(path) not in used:
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def open_folder(prefix: str) -> Iterator[Path]:
    """A folder with a short path, for a home; other users may go through it."""
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def open_pytest_folders() -> None:
    """Let other users go through the folders that pytest makes for tests."""
    factory = pytest.TempPathFactory
    factory.getbasetemp = _opened(factory.getbasetemp)
    factory.mktemp = _opened(factory.mktemp)


def _opened(make: Callable[..., Path]) -> Callable[..., Path]:
    @functools.wraps(make)
    def opened(*arguments: object, **named: object) -> Path:
        folder = make(*arguments, **named)
        for each in (folder, *folder.parents):
            if each == Path(tempfile.gettempdir()) or each.stat().st_uid != os.geteuid():
                break
            each.chmod(each.stat().st_mode | 0o011)
        return folder

    return opened


def _fits(folder: Path) -> bool:
    """Whether it is there, has room, and lets programs run from it, which some tests need."""
    return (
        os.access(folder, os.W_OK | os.X_OK)
        and not os.statvfs(folder).f_flag & os.ST_NOEXEC
        and shutil.disk_usage(folder).free >= NEEDS
    )
