"""A copy of the repository, in which recipes are tried out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).parents[2]
COPIED = ("core", "daemons", "tui", "tests", "migrations", "docs", "pyproject.toml", "README.md", "Makefile")
UNUSED = ("cacheprovider", "schemathesis", "faker", "syrupy")
"""Plugins of pytest that no test of a recipe uses, and that take time to load."""


class AnyEdit(Protocol):
    @property
    def file(self) -> str: ...
    @property
    def text(self) -> str: ...
    def apply(self, root: Path) -> None: ...


class Copy:
    """A copy of the repository, with a recipe's edits in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def edit(self, edits: Sequence[AnyEdit], *, forget: Container[str] = ()) -> None:
        """Write each file of the recipe anew, without the edits whose file or text is forgotten."""
        for file in {edit.file for edit in edits}:
            (self.root / file).unlink(missing_ok=True)
            if (ROOT / file).exists():
                shutil.copyfile(ROOT / file, self.root / file)
        for edit in edits:
            if edit.file not in forget and edit.text not in forget:
                edit.apply(self.root)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def test(self, *tests: str) -> subprocess.CompletedProcess[str]:
        unused = [option for name in UNUSED for option in ("-p", f"no:{name}")]
        return self.run("pytest", "-q", *unused, *tests)


@contextmanager
def copied(root: Path) -> Iterator[Copy]:
    """Copy what Python has compiled as well, so that it need not compile everything again."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__snapshots__"))
        else:
            shutil.copyfile(ROOT / name, root / name)
    yield Copy(root)
    shutil.rmtree(root)
