"""The payment sandbox as a real process, whose guard has other limits than the usual ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.processes import die_with_parent
from tests.support.ports import free_port
from tests.support.raw_http import request, send

ROOT = Path(__file__).parents[2]
STARTS_WITHIN = 60.0
SCRIPT = """
import sys
from daemons.process import runtime
from daemons.process.guard.bounds import Limits
runtime.LIMITS = Limits({limits})
from daemons.payment_sandbox.__main__ import main
main()
"""


@dataclass(frozen=True)
class GuardedProcess:
    port: int
    process: psutil.Process
    log: Path

    def memory(self) -> int:
        """Bytes that the process holds."""
        return self.process.memory_info().rss

    def open_connections(self) -> int:
        return sum(each.status == psutil.CONN_ESTABLISHED for each in self.process.net_connections())


@contextmanager
def guarded_process(home: Path, limits: str = "", **settings: str) -> Iterator[GuardedProcess]:
    """`limits` are arguments of Limits, as in `head_time=0.5, connections=20`."""
    port, log = free_port(), home / "log"
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ORDERDECK_")}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(limits=limits)],
            cwd=ROOT,
            env={**ours, "ORDERDECK_HOME": str(home), "ORDERDECK_PAYMENT_PORT": str(port), **settings},
            stdout=out,
            stderr=out,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
        )
    try:
        deadline = time.monotonic() + STARTS_WITHIN
        while not _ready(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield GuardedProcess(port, psutil.Process(process.pid), log)
    finally:
        process.kill()
        process.wait()


def _ready(port: int) -> bool:
    try:
        return send(port, request(target="/ready")).status == 200
    except OSError:
        return False
