"""A pipe, a device or a folder where a file is named: a sentence says so, and nobody waits or reads without end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from core.errors import ConfigurationError
from core.settings import load_settings
from daemons.cli.main import app
from daemons.host.backups import MANIFEST, restore
from daemons.process.tls import read_tls
from tests.support.logins import of_daemons


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


@pytest.mark.parametrize("named", ["-", "/dev/stdin", "/dev/fd/{}"])
def test_a_public_key_may_come_through_a_pipe_that_the_caller_has_opened(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    public = Ed25519PrivateKey.generate().public_key()
    reader, writer = os.pipe()
    os.write(writer, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    os.close(writer)
    monkeypatch.setenv("ORDERDECK_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", of_daemons(dsn))
    before = os.dup(0)
    os.dup2(reader, 0)
    try:
        words = ["keys", "create", "piped", "--role", "viewer", "--public-key", named.format(reader), "--json"]
        made = CliRunner().invoke(app, words, catch_exceptions=False)
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(reader)
    assert json.loads(made.stdout)["public_key"].startswith("-----BEGIN PUBLIC KEY"), made.stderr
