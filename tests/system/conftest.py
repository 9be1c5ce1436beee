"""One running stack for all system tests that do not break it for good."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """One whose sockets need no other place; pytest's own are too long for that."""
    with tempfile.TemporaryDirectory(prefix="od-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="od-sys-") as folder, Stack(Path(folder) / "home") as running:
        running.up()
        yield running
