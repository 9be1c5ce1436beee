"""The lock of a home: nobody can make `up` or `down` wait for ever, or lead them to another file."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from core.home import Home
from daemons.host import home_lock
from daemons.host.home_lock import locked

HOLD = """
import fcntl, sys
lock = open(sys.argv[1], "a")
fcntl.flock(lock, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(home_lock, "LOCK_LIMIT", 0.2)
    home = Home(tmp_path / "home")
    home.path.mkdir()
    return home


def test_the_lock_can_be_taken_again_and_again_and_only_by_its_owner(home: Home) -> None:
    home.lock.touch(mode=0o666)
    for _ in range(2):
        with locked(home):
            assert stat.S_IMODE(home.lock.stat().st_mode) == 0o600
            assert home.lock.read_text() == f"{os.getpid()}\n"


def test_a_lock_that_somebody_holds_is_waited_for_a_while_and_then_told_in_a_sentence(home: Home) -> None:
    command = [sys.executable, "-c", HOLD, str(home.lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        home.lock.write_text(str(holder.pid))
        message = rf"^another process \(pid {holder.pid}\) has held {home.lock} for .* s: end it, then try again$"
        with pytest.raises(ConfigurationError, match=message), locked(home):
            pass
        holder.communicate()
    with locked(home):
        pass


WRONG: dict[str, Callable[[Path], object]] = {
    "a link": lambda lock: lock.symlink_to(lock.with_name("another")),
    "a link to nothing": lambda lock: lock.symlink_to("/nonexistent/file"),
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": lambda lock: lock.symlink_to("/dev/null"),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_a_lock_that_is_no_file_of_ours_is_refused_in_a_sentence(home: Home, make: Callable[[Path], object]) -> None:
    home.lock.with_name("another").write_text("precious")
    make(home.lock)
    with pytest.raises(ConfigurationError, match=r"/lock is no file of ours: remove it"), locked(home):
        pass
    assert home.lock.with_name("another").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file that belongs to somebody else")
def test_a_lock_of_another_user_is_refused_in_a_sentence(home: Home) -> None:
    home.lock.touch()
    os.chown(home.lock, 65534, 65534)
    with pytest.raises(ConfigurationError, match="is no file of ours"), locked(home):
        pass
