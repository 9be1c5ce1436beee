"""`down` and `up` end the processes of their own home, and no other: not by the text of a command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from core.home import Home
from core.processes import die_with_parent
from daemons.host import leftovers
from daemons.host.leftovers import end, processes_of
from tests.support.stack import Stack, until

SLEEP = "import sys, time; print(flush=True); time.sleep(600)"


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    stack = Stack(tmp_path / ".orderdeck")
    stack.home.create()
    return stack


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def run(running: ExitStack, *command: str | Path, cwd: Path = Path("/"), env: dict[str, str] | None = None) -> int:
    """Start a process that the test ends, and return its pid when its program runs."""
    process = subprocess.Popen(
        [str(word) for word in command],
        env={"PATH": os.environ["PATH"]} | (env or {}),
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
    )
    running.callback(process.communicate)
    running.callback(process.kill)
    assert process.stdout is not None
    process.stdout.read(1)
    return process.pid


def script(folder: Path, name: str) -> Path:
    """A Python program of this name that prints a line and sleeps."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SLEEP)
    return path


def test_a_process_that_only_mentions_the_home_is_not_ended(stack: Stack, running: ExitStack, tmp_path: Path) -> None:
    home = stack.home
    env = {"ORDERDECK_HOME": str(home.path), "SUPERVISOR_ENABLED": "1"}
    log = home.logs / "supervisord.log"
    log.write_text("a line\n")
    other = script(tmp_path / "other", "supervisord")
    strangers = [
        run(running, "tail", "-f", log, env=env),
        run(running, "tail", "-n", "1", "-f", log, home.supervisord_conf.with_name("none"), env=env),
        run(running, "sh", "-c", f"echo; read line # supervisord -c {home.supervisord_conf}", env=env),
        run(running, sys.executable, "-c", SLEEP, "supervisord", "-c", home.supervisord_conf, env=env),
        run(running, sys.executable, "-c", SLEEP, "-m", "daemons.projector", env=env),
        run(running, sys.executable, "-c", SLEEP, "-D", home.postgres / "data", env=env),
        run(running, sys.executable, other, "-c", tmp_path / "other.conf", env=env),  # of another project
        run(running, sys.executable, other, "-n", env=env),
        run(running, sys.executable, "-m", "daemons.projector", cwd=_daemons_of_somebody(tmp_path), env=env | {
            "ORDERDECK_HOME": str(home.path / "other"),
        }),
    ]  # fmt: skip
    assert processes_of(home) == []
    (home.run / "supervisord.pid").write_text(str(strangers[0]))
    assert stack.orderdeck("down").stdout.strip() == "orderdeck was not up"
    assert [pid for pid in strangers if not psutil.pid_exists(pid)] == []


def _daemons_of_somebody(folder: Path) -> Path:
    """A folder in which `python -m daemons.projector` only sleeps."""
    for package, module in (("daemons", "projector"), ("supervisor", "supervisord")):
        script(folder, f"code/{package}/{module}.py")
        (folder / "code" / package / "__init__.py").touch()
    return folder / "code"


def test_what_supervisord_has_started_for_this_home_is_ended_whoever_is_its_parent(
    stack: Stack, running: ExitStack, tmp_path: Path
) -> None:
    home, code = stack.home, _daemons_of_somebody(tmp_path)
    supervisord = script(tmp_path / "bin", "supervisord")
    (tmp_path / "supervisord.conf").touch()
    ours = [
        run(running, sys.executable, "-m", "supervisor.supervisord", "-c", home.supervisord_conf, cwd=code),
        run(running, sys.executable, supervisord, "-c", "supervisord.conf", cwd=tmp_path),
        run(running, sys.executable, "-m", "daemons.projector", cwd=code,
            env={"ORDERDECK_HOME": str(home.path), "SUPERVISOR_ENABLED": "1"}),
    ]  # fmt: skip
    assert {process.pid for process in processes_of(home)} == set(ours)
    assert processes_of(Home(tmp_path / "second" / ".orderdeck")) == []
    end(processes_of(home))
    until(lambda: processes_of(home) == [], seconds=10)


def test_a_process_that_got_the_pid_of_an_ended_one_is_not_ended(
    running: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "PATIENCE", 0.1)
    now = run(running, sys.executable, "-c", SLEEP)
    before = psutil.Process(now)
    setattr(before, "_ident", (now, before.create_time() - 100))  # noqa: B010 - as it was before the pid was given again
    end([before])
    assert psutil.Process(now).status() != psutil.STATUS_ZOMBIE


def test_a_frozen_process_goes_on_to_end_by_itself(running: ExitStack, tmp_path: Path) -> None:
    last = tmp_path / "last"
    program = (
        f"import signal, sys; signal.signal(15, lambda *_: (open({str(last)!r}, 'w').close(), sys.exit())); {SLEEP}"
    )
    process = psutil.Process(run(running, sys.executable, "-c", program))
    process.suspend()
    end([process])
    assert last.exists()
