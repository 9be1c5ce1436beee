"""The release that knew version 1 of OrderCreated only: a second checkout, out of the repository's history."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import pytest

from core.processes import die_with_parent
from core.settings import Settings, env_names
from tests.support.logins import of_daemons
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
ADDED = "tests/data/golden/OrderCreated.v2.json"  # by the commit that began to write version 2


def check_out(folder: Path) -> None:
    """Write the programs of the commit before it into the folder. Skips the test where there is no history of it."""
    found = _git("log", "--diff-filter=A", "--format=%H", "--", ADDED).decode().split()
    if not found:
        pytest.skip(f"this copy of the repository has no history back to the commit that added {ADDED}")
    packed = _git("archive", f"{found[-1]}^", "core", "daemons", "migrations")
    if not packed:
        pytest.skip("this copy of the repository ends before the release that is needed")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def _git(*arguments: str) -> bytes:
    try:
        safe = ("git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT))  # the tests may run as another user
        return subprocess.run((*safe, *arguments), capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""


@dataclass
class OlderDaemon:
    """`python -m daemons.<name>` of that checkout, over a database of this one."""

    checkout: Path
    name: str
    dsn: str
    settings: dict[str, str] = field(default_factory=dict[str, str])
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        known = {name for each in Settings.model_fields for name in env_names(each)}
        port = f"ORDERDECK_{self.name.removesuffix('_api').upper()}_PORT"
        mine = {port: str(self.port), "PYTHONPATH": str(self.checkout), "DATABASE_URL": of_daemons(self.dsn)}
        mine |= {"ORDERDECK_HOME": str(self.checkout / "home"), **self.settings}
        env = {name: value for name, value in os.environ.items() if name not in known} | mine
        command = (sys.executable, "-m", f"daemons.{self.name}")
        with (self.checkout / f"{self.name}.log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.checkout,
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, (self.checkout / f"{self.name}.log").read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False
