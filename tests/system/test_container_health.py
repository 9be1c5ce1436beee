"""The container's health check, on a running stack: it fails as soon as one daemon, at whatever port, is not ready."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.settings import Settings, env_names
from tests.support.ports import free_port
from tests.support.stack import ROOT, Stack, until

Check = Callable[..., tuple[int, str]]
SCRIPT = ROOT / "deploy/healthy.py"


@pytest.fixture
def check(stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Runs the check in this process, which saves loading it each time, with the settings of the stack."""
    main = runpy.run_path(str(SCRIPT))["main"]
    for name in (each for field in Settings.model_fields for each in env_names(field)):
        monkeypatch.delenv(name, raising=False)
    for name, value in stack.settings.items():
        monkeypatch.setenv(name, value)

    def run(*names: str, **settings: str) -> tuple[int, str]:
        with monkeypatch.context() as changed:
            for name, value in settings.items():
                changed.setenv(name, value)
            return main(names), capsys.readouterr().out

    return run


def test_the_container_is_healthy_when_every_daemon_is_ready_at_the_port_of_its_setting(stack: Stack) -> None:
    stack.up()
    done = subprocess.run(
        [sys.executable, SCRIPT], cwd=ROOT, env=stack.env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_container_is_not_healthy_while_daemons_are_frozen_and_the_check_ends_in_time(
    stack: Stack, check: Check
) -> None:
    pids = [stack.pid_of(name) for name in ("projector", "saga-runner")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        code, said = check()
        alone = check("projector")
        assert time.monotonic() - began < 12
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert (code, alone[0]) == (1, 1)
    assert "not healthy: projector: does not answer" in said
    assert "; saga-runner: does not answer" in said
    assert "not healthy: projector: does not answer" in alone[1]
    until(lambda: check()[0] == 0)
    assert check("projector") == (0, "")


def test_the_container_is_not_healthy_while_one_program_is_stopped(stack: Stack, check: Check) -> None:
    stack.orderdeck("ctl", "stop", "saga-runner")
    try:
        code, said = check()
        assert (code, said.count("\n")) == (1, 1)
        assert said.startswith("not healthy: saga-runner: stopped")
        code, said = check("saga-runner")
        assert (code, "not healthy: saga-runner: does not answer at 127.0.0.1:" in said) == (1, True)
    finally:
        stack.orderdeck("ctl", "start", "saga-runner")
    until(lambda: check()[0] == 0)


def test_the_check_of_one_daemon_is_not_content_with_another_program_at_its_port(stack: Stack, check: Check) -> None:
    query = str(stack.port("query"))
    code, said = check("projector", ORDERDECK_PROJECTOR_PORT=query)
    assert (code, "answers another program" in said) == (1, True)
    code, said = check("projector", ORDERDECK_PROJECTOR_PORT=str(free_port()))
    assert (code, "projector: does not answer at" in said) == (1, True)


def test_a_container_in_which_nothing_runs_is_not_healthy(check: Check, tmp_path: Path) -> None:
    home = str(tmp_path / "nothing here")
    assert check(ORDERDECK_HOME=home) == (1, f"not healthy: no daemon runs here, and no supervisord in {home}\n")


# The first process of a container of its own: a daemon that its init has started, then the check beside it.
ALONE = """
'{python}' -m daemons.payment_sandbox > /dev/null 2>&1 &
until '{python}' '{script}'; do sleep 0.1; done
kill -STOP $!
'{python}' '{script}' && echo healthy while it is frozen
kill -9 $!
wait
'{python}' '{script}' && echo healthy without it
true
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a space of processes as a container has it")
def test_the_check_of_a_container_with_one_daemon_finds_it_by_itself(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    port = free_port()
    done = subprocess.run(
        ["/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
         ALONE.format(python=sys.executable, script=SCRIPT)],
        cwd=ROOT,
        env=os.environ | {"ORDERDECK_HOME": str(home), "ORDERDECK_PAYMENT_PORT": str(port)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    *starting, frozen, gone = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    place = f"127.0.0.1:{port}"
    assert all(line.startswith(f"not healthy: payment-sandbox: does not answer at {place}") for line in starting)
    assert frozen == f"not healthy: payment-sandbox: does not answer at {place} (no whole answer within 4 s)"
    assert gone == f"not healthy: no daemon runs here, and no supervisord in {home}"


def test_the_check_says_what_is_wrong_with_its_own_call(check: Check) -> None:
    code, said = check("postgres")
    assert (code, "no daemon of this name that answers at a port" in said) == (1, True)
    code, said = check("projector", ORDERDECK_PROJECTOR_PROT="1")
    assert (code, "there is no setting ORDERDECK_PROJECTOR_PROT" in said) == (1, True)
