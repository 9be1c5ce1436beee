"""A pipe, a device or a folder where a file is named: a sentence says so, and nobody waits or reads without end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.errors import ConfigurationError
from core.settings import load_settings
from daemons.cli.main import app
from daemons.host.backups import MANIFEST, restore
from daemons.process.tls import read_tls


def _link_to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _public_key(path: Path) -> None:
    words = ["keys", "create", "shop", "--role", "viewer", "--public-key", str(path)]
    CliRunner().invoke(app, words, catch_exceptions=False)


def _certificate(path: Path) -> None:
    read_tls(load_settings(tls_certificate=path, tls_key=path, home=path.parent))


def _backup(path: Path) -> None:
    path.rename(path.with_name(MANIFEST))
    restore(load_settings(home=path.parent / "new"), path.parent)


@pytest.mark.parametrize("make", [os.mkfifo, _link_to_zero, Path.mkdir], ids=["pipe", "device", "folder"])
@pytest.mark.parametrize("use", [_public_key, _certificate, _backup])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None], use: Callable[[Path], None]) -> None:
    path = tmp_path / "named"
    make(path)
    with pytest.raises(ConfigurationError, match="it is no file"):
        use(path)
