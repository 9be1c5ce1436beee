"""A payment sandbox of a test's own: a real process, on a free port, over a ledger that outlives its kills."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Self

from tests.support.forked_daemon import ForkedDaemon
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
        self._process: ForkedDaemon | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("ORDERDECK_")}
        mine = {"ORDERDECK_HOME": str(self.home), "ORDERDECK_PAYMENT_PORT": str(self.port)}
        self._process = ForkedDaemon(
            ("-m", "daemons.payment_sandbox"), {**ours, **self._settings, **mine}, self.home / "payment-sandbox.log"
        )
        deadline = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                if send(self.port, request(target="/health?ready")).status == 200:
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
