"""A payment sandbox of a test's own: a real process, on a free port, over a ledger that outlives its kills."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from core.processes import die_with_parent
from tests.support.ports import free_port
from tests.support.raw_http import request, send

ROOT = Path(__file__).parents[2]
STARTS_WITHIN = 60.0


class SandboxProcess:
    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self._settings = settings  # more of them, by the names of their environment variables
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("ORDERDECK_")}
        log = (self.home / "payment-sandbox.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "daemons.payment_sandbox"],
                cwd=ROOT,
                env={
                    **ours,
                    **self._settings,
                    "ORDERDECK_HOME": str(self.home),
                    "ORDERDECK_PAYMENT_PORT": str(self.port),
                },
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
            )
        deadline = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                if send(self.port, request(target="/ready")).status == 200:
                    return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    said = (self.home / "payment-sandbox.log").read_text()
                    raise AssertionError(f"the sandbox did not start:\n{said}") from None
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill the sandbox as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
