"""A whole orderdeck of a test: in its folder, on free ports, and gone with the test run, even one that is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import psutil

from core.home import Home
from core.settings import Settings, env_names
from daemons.host.leftovers import processes_of
from tests.support.forked_command import run_forked
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
PORTS = (
    "command_port",
    "query_port",
    "payment_port",
    "projector_port",
    "saga_runner_port",
    "relay_port",
    "notifier_port",
    "grpc_port",
    "grpc_api_port",
)
# Reads until the pipe closes, which it does when its other end dies, and leaves nothing of the stack.
REAPER = "import os, sys; sys.stdin.read(); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"


class Stack:
    def __init__(self, path: Path, **settings: str) -> None:
        self.home = Home(path)
        self.settings = {"ORDERDECK_HOME": str(path), "ORDERDECK_NOTIFIER": "false"}  # who tests it sets it
        self.settings |= {f"ORDERDECK_{name.upper()}": str(free_port(several=3)) for name in PORTS}
        self.settings |= settings

    def __enter__(self) -> Self:
        self._first_env = self._env_of_commands  # a test may set what no command accepts
        self._reaper = subprocess.Popen(
            [sys.executable, "-c", REAPER, "-m", "daemons.cli.main", "down", "--forget"],
            env=self.env,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        done = run_forked(("down", "--forget"), self._first_env, ROOT, limit=60)
        if done.returncode == 0:
            self._reaper.kill()
        self._reaper.communicate()
        assert done.returncode == 0, f"the stack may still be up: {done.stdout}{done.stderr}"

    @property
    def env(self) -> dict[str, str]:
        known = {name for field in Settings.model_fields for name in env_names(field)}
        return {name: value for name, value in os.environ.items() if name not in known} | self.settings

    @property
    def _env_of_commands(self) -> dict[str, str]:
        return self.env | {"PYTHONPATH": self.settings.get("PYTHONPATH", str(ROOT))}

    def orderdeck(self, *arguments: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
        if not any(name.startswith("PYTHON") for name in env):  # those only a Python that starts obeys
            return run_forked(arguments, self._env_of_commands | env, cwd, limit=120)
        return subprocess.run(
            [sys.executable, "-m", "daemons.cli.main", *arguments],
            env=self._env_of_commands | env,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def up(self) -> str:
        done = self.orderdeck("up")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        return json.loads(self.orderdeck("status", "--json").stdout)

    def pid_of(self, name: str) -> int:
        return next(program["pid"] for program in self.status()["programs"] if program["name"] == name)

    def processes(self) -> list[psutil.Process]:
        return processes_of(self.home)

    def port(self, name: str) -> int:
        return int(self.settings[f"ORDERDECK_{name.upper()}_PORT"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port('command')}"


def until(condition: Callable[[], object], *, seconds: float = 60) -> None:
    """Wait for a condition, and fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
