"""The name of a saga runner tells whether its process still runs, even if another process got its number."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from core.processes import die_with_parent
from daemons.process import owner
from daemons.process.owner import gone, our_name
from tests.support.stack import until


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
    )
    yield process
    process.kill()
    process.communicate()


def named(pid: int, *, born: float | None = None, host: str = "") -> str:
    return f"{host or socket.gethostname()}:{pid}:{born or owner._start_of(psutil.Process(pid)):.2f}"


def test_the_owner_of_a_running_process_is_not_gone(other: subprocess.Popen[bytes]) -> None:
    assert our_name() == named(os.getpid())
    assert not gone(our_name())
    assert not gone(named(other.pid))


def test_the_owner_of_a_stopped_process_is_not_gone(other: subprocess.Popen[bytes]) -> None:
    other.send_signal(signal.SIGSTOP)
    until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_STOPPED)
    assert not gone(named(other.pid))


def test_the_owner_of_a_killed_process_is_gone_even_before_its_parent_has_reaped_it(
    other: subprocess.Popen[bytes],
) -> None:
    name = named(other.pid)
    other.kill()
    until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE)
    assert gone(name)
    other.wait()
    assert gone(name)


def test_the_owner_is_gone_when_another_process_has_its_number() -> None:
    born = owner._start_of(psutil.Process())
    assert gone(named(os.getpid(), born=born - 60))


@pytest.mark.parametrize("name", [named(4_000_000, born=1.0, host="elsewhere"), "runner-1", "", named(1, born=1)[:-5]])
def test_owners_of_other_machines_and_owners_with_unreadable_names_are_never_called_gone(name: str) -> None:
    assert not gone(name)


def test_setting_the_clock_makes_no_owner_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    name, create_time, boot_time = our_name(), psutil.Process.create_time, psutil.boot_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: create_time(process) + 3_600)
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time() + 3_600)
    assert not gone(name)
