"""The packages of a gRPC client in Node, fetched by npm once and kept in a cache folder outside of the checkout."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest

LISTS = [Path(__file__).parent / "node_client" / name for name in ("package.json", "package-lock.json")]
OLDEST_NODE = 20
REQUIRED = os.environ.get("REQUIRE_NODE", "")
"""If it is set, a test that needs Node fails where it is missing; else such a test is skipped."""


def node_packages() -> Path:
    """The folder in which `node_modules` is. Of several processes that find none each fetches, and the first wins."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            _missing(f"there is no {program}")
    version = _run("node", "--version").stdout.strip()
    if not version.startswith("v") or int(version[1:].partition(".")[0]) < OLDEST_NODE:
        _missing(f"node says that it is {version}")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orderdeck-tests"
    folder = caches / f"node-client-{sha256(b''.join(each.read_bytes() for each in LISTS)).hexdigest()[:12]}"
    if folder.exists():
        return folder
    caches.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=caches) as fresh:
        packages = Path(fresh) / "packages"
        packages.mkdir()
        for each in LISTS:
            shutil.copy(each, packages)
        try:
            done = _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=packages)
        except subprocess.TimeoutExpired:
            _missing("npm is not done after two minutes")
        if done.returncode != 0:
            _missing(f"npm cannot fetch the packages: {done.stdout.strip()[-500:]}")
        with contextlib.suppress(OSError):  # another process was first
            packages.rename(folder)
    return folder


def _run(program: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(shutil.which(program)), *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )


def _missing(why: str) -> NoReturn:
    if REQUIRED:
        pytest.fail(f"REQUIRE_NODE={REQUIRED}, and {why}", pytrace=False)
    pytest.skip(f"needs node ({OLDEST_NODE} or newer) and npm, and {why}")
