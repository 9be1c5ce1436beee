"""Where the temporary files of a test run are: in memory if it fits, since PostgreSQL makes 300 files a database."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - every file there gets a name of its own, as in /tmp
NEEDS = 8 * 1024**3  # bytes; a run uses a quarter of it


def in_memory() -> None:
    """Make temporary files of this process, and of all it starts, in memory, unless somebody has named a folder."""
    if "TMPDIR" in os.environ or not _fits(IN_MEMORY):
        return
    os.environ["TMPDIR"] = str(IN_MEMORY)
    tempfile.tempdir = None  # it may have been looked up already


def _fits(folder: Path) -> bool:
    """Whether it is there, has room, and lets programs run from it, which some tests need."""
    return (
        os.access(folder, os.W_OK | os.X_OK)
        and not os.statvfs(folder).f_flag & os.ST_NOEXEC
        and shutil.disk_usage(folder).free >= NEEDS
    )
