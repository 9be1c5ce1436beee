"""A streaming replica of an embedded server, made by the wheel's own pg_basebackup, that tests may pause and freeze."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import asyncpg
import psutil

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.home import OWNER
from tests.support.logins import of_daemons

SETTINGS = {
    "listen_addresses": "",
    "wal_retrieve_retry_interval": "100ms",  # so that it finds a primary that was away
    "wal_receiver_status_interval": "1s",
    "max_standby_streaming_delay": "0",  # reads that stand in the way of the replay are cancelled
    "shared_buffers": "16MB",
    "max_connections": "300",  # as the primary has, or it would not begin
}


class ReplicaServer:
    """A copy of `source`: of the primary, or of a replica that was promoted. Use it as a context manager."""

    def __init__(self, primary: EmbeddedPostgres, source: ReplicaServer | None = None) -> None:
        self._primary = primary
        self._source = source
        self._sockets = Path(tempfile.mkdtemp(prefix="od-replica-"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self._primary.home.postgres / self._sockets.name

    def dsn(self, database: str) -> str:
        return f"postgresql://{OWNER}@/{database}?host={self._sockets}&port=5432"

    def url(self, database: str) -> str:
        """The address for ORDERDECK_REPLICA_URLS."""
        return of_daemons(self.dsn(database))

    def __enter__(self) -> Self:
        if self._primary._user is not None:
            os.chown(self._sockets, self._primary._user.pw_uid, self._primary._user.pw_gid)
        copy = self._primary._spawn(
            "pg_basebackup", "-D", str(self.data), "-d", (self._source or self._primary).dsn("postgres"),
            "--checkpoint=fast", "--write-recovery-conf", "--create-slot", "--slot", self.data.name.replace("-", "_"),
        )  # fmt: skip
        assert copy.wait(60) == 0
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.go_on()
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(20)
        for folder in (self.data, self._sockets):
            shutil.rmtree(folder, ignore_errors=True)

    def start(self) -> None:
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        sockets = f"--unix_socket_directories={self._sockets}"
        with (self._primary.home.logs / f"{self.data.name}.log").open("ab") as log:
            self.process = self._primary._spawn("postgres", "-D", str(self.data), sockets, *options, stdout=log)
        deadline = time.monotonic() + 60
        while not (self.data / "postmaster.pid").exists() or "ready" not in (self.data / "postmaster.pid").read_text():
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)

    def freeze(self) -> None:
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def go_on(self) -> None:
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # a connection that has ended meanwhile
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        """The server's main process first, so that it starts no others while it is frozen."""
        assert self.process is not None
        main = psutil.Process(self.process.pid)
        return [main, *main.children()]

    async def run(self, statement: str, database: str = "postgres") -> Any:
        """Run a statement as a superuser, such as `SELECT pg_wal_replay_pause()`."""
        connection = await asyncpg.connect(self.dsn(database))
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()
