"""What every part of the bench runs on: one embedded PostgreSQL, a fresh database each, real daemons on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import psutil

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.migrate import migrate
from core.bootstrap import load_samples
from core.home import DAEMONS, OWNER
from core.processes import die_with_parent
from core.settings import Settings, env_names, load_settings
from daemons.process.program_list import APART, Counts, all_processes
from tests.support.ports import free_port

ROOT = Path(__file__).parents[1]
T = TypeVar("T")
PORTS = {
    "command-api": "command_port",
    "query-api": "query_port",
    "payment-sandbox": "payment_port",
    "projector": "projector_port",
    "saga-runner": "saga_runner_port",
    "relay": "relay_port",
}
READY_WITHIN = 30.0  # seconds


def cpu_seconds(pid: int) -> float:
    """Seconds of CPU that a process and its children have used, including children that have ended.

    Of this process it is only its own, since its children are the programs that are measured beside it.
    """
    if pid == os.getpid():
        return time.process_time()
    process = psutil.Process(pid)
    times = [process.cpu_times()]
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since, and its parent's times have its own
            times.append(child.cpu_times())
    return sum(each.user + each.system + each.children_user + each.children_system for each in times)


@dataclass
class Ground:
    """One server for all parts. What is the same for several of them is made once; `shared` ends it after the last."""

    server: EmbeddedPostgres
    folder: Path
    shared: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _templates: dict[str, tuple[str, Any]] = field(default_factory=dict[str, tuple[str, Any]])
    _running: dict[str, Any] = field(default_factory=dict[str, Any])
    _of_this_part: list[str] = field(default_factory=list[str])

    def database(self, *, samples: bool = True) -> str:
        """Make a migrated database; return its address. With `samples` the sample catalogue is in stock."""
        template = f"migrated, {'with' if samples else 'without'} samples"
        if template not in self._templates:
            name = f"migrated{next(self._numbers)}"
            asyncio.run(self._migrate(name, samples=samples))
            self._templates[template] = (name, None)
        return self._copy(template, "WAL_LOG")

    def filled(self, what: str, fill: Callable[[str], T], *, samples: bool = False) -> tuple[str, T]:
        """Make a database that `fill` has filled; return its address and what `fill` returned.

        `fill` gets the address of a migrated database, once for all that ask for the same `what`.
        """
        template = f"{what}, {'with' if samples else 'without'} samples"
        if template not in self._templates:
            dsn = self.database(samples=samples)
            done, name = fill(dsn), self._of_this_part.pop()
            self._templates[template] = (name, done)
        return self._copy(template, "FILE_COPY"), self._templates[template][1]

    def running(self, what: str, start: Callable[[], AbstractContextManager[T]]) -> T:
        """A server that is started for the first part that needs it, and runs until all parts are measured."""
        if what not in self._running:
            self._running[what] = self.shared.enter_context(start())
        return self._running[what]

    def clear(self) -> None:
        """Drop the databases of a part that has been measured, so that PostgreSQL has no work with them any more."""
        while self._of_this_part:
            asyncio.run(self._sql(f"DROP DATABASE {self._of_this_part.pop()} WITH (FORCE)"))

    def copy_of(self, dsn: str) -> str:
        """Make a copy of a database that nobody is connected to; return its address."""
        return self._copied(urlsplit(dsn).path[1:], "FILE_COPY")

    @property
    def server_pid(self) -> int:
        return self.server.running_pid() or 0

    def _copy(self, template: str, strategy: str) -> str:
        return self._copied(self._templates[template][0], strategy)

    def _copied(self, database: str, strategy: str) -> str:
        name = f"bench{next(self._numbers)}"
        asyncio.run(self._sql(f"CREATE DATABASE {name} TEMPLATE {database} STRATEGY {strategy}"))
        self._of_this_part.append(name)
        return self.server.dsn(name)

    async def _sql(self, statement: str) -> None:
        admin = await asyncpg.connect(self.server.dsn("postgres"))
        await admin.execute(statement)
        await admin.close()

    async def _migrate(self, name: str, *, samples: bool) -> None:
        await self._sql(f"CREATE DATABASE {name}")
        await migrate(self.server.dsn(name), self.server.home.dsn(name, user=DAEMONS))
        if samples:
            await load_samples(load_settings(database_url=self.server.home.dsn(name, user=DAEMONS)))


@dataclass
class Daemons:
    """Daemons that run on one database; `ports` has them by their names, `processes` by those of their processes."""

    ports: dict[str, int]
    processes: dict[str, subprocess.Popen[bytes]]


@contextlib.contextmanager
def daemons(
    ground: Ground, dsn: str, *names: str, counts: Counts | None = None, settings: Mapping[str, str] | None = None
) -> Generator[Daemons]:
    """Run these daemons, one process of each or as many as `counts` says, and wait until each is ready.

    They are stopped after the block, and die when we are killed. `settings`: more of their environment.
    """
    home = ground.folder / f"home-{time.monotonic_ns()}"
    home.mkdir()
    ports = {name: free_port(several=(counts or {}).get(name, 1) - 1) for name in PORTS}
    known = {n for name in Settings.model_fields for n in env_names(name)}
    env = {name: value for name, value in os.environ.items() if name not in known}
    env |= {f"ORDERDECK_{setting.upper()}": str(ports[name]) for name, setting in PORTS.items()}
    env |= {
        "ORDERDECK_HOME": str(home),
        "DATABASE_URL": dsn.replace(OWNER, DAEMONS, 1),
        "LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(ROOT),
        **(settings or {}),
    }
    env |= {f"ORDERDECK_{name.upper().replace('-', '_')}_COUNT": str(n) for name, n in (counts or {}).items()}
    running: dict[str, subprocess.Popen[bytes]] = {}
    chosen = [process for process in all_processes(counts or {}) if process.program.name in names]
    try:
        for process in chosen:
            number = [] if process.number is None else [str(process.number)]
            with (home / f"{process.name}.log").open("wb") as log:
                running[process.name] = subprocess.Popen(
                    [sys.executable, "-m", process.program.module, *number],
                    env=env,
                    cwd=home,
                    stdout=log,
                    stderr=log,
                    preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock taken
                )
        for process in chosen:
            _wait_until_ready(process.name, ports[process.program.name] + APART * (process.number or 0), home)
        yield Daemons(ports, running)
    finally:
        for started in running.values():
            started.terminate()
        for started in running.values():
            started.wait(timeout=40)


def _wait_until_ready(name: str, port: int, home: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health?ready", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                log = (home / f"{name}.log").read_text()[-2000:]
                raise SystemExit(f"{name} is not ready after {READY_WITHIN:.0f} s:\n{log}") from None
            time.sleep(0.05)
