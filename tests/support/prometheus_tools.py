"""Prometheus and promtool of Debian's package, where .ci/run has unpacked them or on the PATH."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orderdeck-tests/prometheus"


def tool(name: str) -> str:
    """The path of `prometheus` or `promtool`; a test that needs it is skipped without."""
    found = shutil.which(name) or shutil.which(name, path=str(CACHE))
    if found is None:
        pytest.skip(f"there is no {name}: Debian's package prometheus has it, and .ci/run unpacks it")
    return found
