"""The Makefile: what it installs with, also where the environment or pip's own file says something else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "name", ["PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_PYTHON", "PIP_INDEX_URL"]
)
def test_make_installs_into_its_own_folder_whatever_pip_is_told_of_other_installs(name: str) -> None:
    command = ["make", "-s", "--eval", "show:; @env", "show"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {name: "1"}, capture_output=True, text=True, timeout=60, check=True
    )
    told = done.stdout.splitlines()
    assert (f"{name}=1" in told) == (name == "PIP_INDEX_URL")
    assert "PIP_USER=0" in told, "so that pip's own file cannot say otherwise"


def test_the_pip_that_python_brings_with_it_runs_without_being_installed() -> None:
    python = os.path.relpath(sys.executable, ROOT)  # as it stands in a command of the shell
    command = ["make", "-s", f"PYTHON={python}", "--eval", "show:; @$(PYTHON) -c '$(BUNDLED)'", "show"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    wheel = done.stdout.strip()
    command = [sys.executable, "-m", "pip", "--version"]
    env = os.environ | {"PYTHONPATH": wheel}
    told = subprocess.run(command, cwd="/", env=env, capture_output=True, text=True, timeout=60, check=True)
    assert f"from {wheel}/pip" in told.stdout
