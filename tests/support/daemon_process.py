"""A daemon of a test's own: a real process over a database, that can be killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from core.settings import Settings, env_names
from tests.support.forked_daemon import ForkedDaemon
from tests.support.logins import of_daemons
from tests.support.ports import free_port
from tests.support.raw_http import request, send


@dataclass
class DaemonProcess:
    """`python -m daemons.<name>`, whose health is on `port`."""

    name: str
    dsn: str
    home: Path
    settings: dict[str, str] = field(default_factory=dict[str, str])
    port: int = field(default_factory=free_port)
    process: ForkedDaemon | None = None

    @property
    def _log(self) -> Path:
        return self.home / f"{self.name}.log"

    def start(self) -> None:
        known = {name for field in Settings.model_fields for name in env_names(field)}
        ours = {name: value for name, value in os.environ.items() if name not in known}
        port = f"ORDERDECK_{self.name.removesuffix('_api').upper()}_PORT"
        mine = {"ORDERDECK_HOME": str(self.home), port: str(self.port)}
        env = {**ours, **mine, **self.settings, "DATABASE_URL": of_daemons(self.dsn)}
        self.process = ForkedDaemon(("-m", f"daemons.{self.name}"), env, self._log)

    def kill(self) -> None:
        """Kill the daemon as `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """Stop the daemon as supervisord does, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()

    def output(self) -> str:
        return self._log.read_text()

    async def ready(self) -> tuple[int, str]:
        """The status of /ready, and its reason. Without httpx, which takes 18 ms of CPU to make a client."""
        try:
            answer = await asyncio.to_thread(send, self.port, request(target="/ready"))
        except OSError:
            return 0, "it does not listen"
        return answer.status, answer.document.get("reason", "") if answer.status else "it hung up"
