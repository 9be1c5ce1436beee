"""The folders of test runs in memory: a run that was killed leaves its own, and the next run removes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.memory_folder import IN_MEMORY, in_memory, remove_left_over
from tests.support.stack import until

ROOT = Path(__file__).parents[1]
# A test run that starts a program, says where its temporary files are, and then waits.
RUN = """
import os, subprocess, sys
from pathlib import Path
from tests.support import memory_folder
memory_folder.NEEDS = 0
memory_folder.in_memory(Path(sys.argv[1]))
started = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
print(started.pid, os.environ["TMPDIR"], flush=True)
sys.stdin.read()
started.kill()
"""


def start(place: Path) -> tuple[subprocess.Popen[str], int, Path]:
    environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(place)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    pid, folder = run.stdout.readline().split()
    return run, int(pid), Path(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no folder in memory")
def test_the_folder_of_a_killed_run_is_removed_by_a_later_one_once_all_its_processes_have_ended(tmp_path: Path) -> None:
    killed, started, folder = start(tmp_path)
    (folder / "a file").touch()
    killed.kill()
    killed.communicate()
    try:
        later, _, laters = start(tmp_path)
        assert {*tmp_path.iterdir()} == {folder, laters}, "a program of the killed run still uses its folder"
    finally:
        os.kill(started, signal.SIGKILL)
    until(lambda: remove_left_over(tmp_path) or not folder.exists(), seconds=20)
    assert [*tmp_path.iterdir()] == [laters]
    later.communicate()
    assert later.returncode == 0
    remove_left_over(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_somebody_has_named_stays_the_one_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    in_memory(IN_MEMORY)
    assert (os.environ["TMPDIR"], [*tmp_path.iterdir()]) == (str(tmp_path), [])
