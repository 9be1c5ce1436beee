"""Tests of several processes start programs at the same time, so no two may be given the same port."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.ports import free_port

CLAIM = "import sys; from tests.support.ports import _claim; print([_claim(int(port)) for port in sys.argv[1:]])"


def test_a_port_is_given_to_one_process_only_and_so_are_those_above_it() -> None:
    port = free_port(several=2)
    ports = [str(port + 100 * n) for n in range(3)]
    root = Path(__file__).parents[1]
    other = subprocess.run(
        [sys.executable, "-c", CLAIM, *ports], cwd=root, env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert other.stdout == "[False, False, False]\n"


def test_a_process_is_given_each_port_once_and_hundreds_leave_no_more_files_open() -> None:
    given = {free_port()}
    before = psutil.Process().num_fds()
    given |= {free_port() for _ in range(199)}
    assert len(given) == 200
    assert psutil.Process().num_fds() == before
