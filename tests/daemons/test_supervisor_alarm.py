"""supervisord with our plugin: it hears at once that a process has ended, and not only once a second."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.processes import die_with_parent
from daemons.host.programs import PLUGIN
from tests.support.ports import free_port
from tests.support.stack import ROOT, until

CONF = """
[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid

[inet_http_server]
port=127.0.0.1:{port}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
{plugin}
[program:sleeper]
command=sleep 600
startsecs=0
"""


@pytest.fixture
def supervisord(tmp_path: Path) -> Iterator[psutil.Process]:
    conf = tmp_path / "conf"
    conf.write_text(CONF.format(folder=tmp_path, plugin=PLUGIN, port=free_port()), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
    ) as process:
        yield psutil.Process(process.pid)
        process.terminate()


def kill_sleepers(supervisord: psutil.Process, times: int) -> float:
    """Kill the sleeper again and again, each time as soon as supervisord has started another; return the seconds."""
    began = time.monotonic()
    for _ in range(times):
        [sleeper] = supervisord.children()
        sleeper.kill()
        until(lambda: not sleeper.is_running() and supervisord.children(), seconds=10)  # noqa: B023 - done before the next
    return time.monotonic() - began


def test_a_process_that_has_ended_is_started_again_at_once_and_so_after_a_reload(supervisord: psutil.Process) -> None:
    until(supervisord.children, seconds=10)
    assert kill_sleepers(supervisord, 5) < 3
    [before] = supervisord.children()
    supervisord.send_signal(signal.SIGHUP)
    # A SIGTERM that meets a process between its fork and its exec may be lost, and supervisord kills it after 10 s.
    until(lambda: not before.is_running() and supervisord.children(), seconds=30)
    assert kill_sleepers(supervisord, 5) < 3
