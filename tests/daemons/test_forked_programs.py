"""When supervisord starts a daemon as a fork of itself, and when the daemon loads everything anew."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from daemons.host import forked_programs
from daemons.host.forked_programs import FOR_ALL, PARTS, is_as_loaded, load
from daemons.process.program_list import PROGRAMS


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that is loaded with what daemons consist of."""
    file = tmp_path / "an_own_module.py"
    file.write_text("WORD = 'old'\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("an_own_module")
    monkeypatch.setattr(forked_programs, "_loaded", {})
    load(["projector"])
    assert is_as_loaded(os.environ)
    return file


def test_a_daemon_is_no_fork_once_a_file_has_changed(module: Path) -> None:
    os.utime(module, ns=(1, 1))
    assert not is_as_loaded(os.environ)


def test_a_daemon_is_no_fork_once_a_file_is_gone(module: Path) -> None:
    module.unlink()
    assert not is_as_loaded(os.environ)


@pytest.mark.usefixtures("module")
def test_a_daemon_with_other_variables_of_python_is_no_fork() -> None:
    assert is_as_loaded(os.environ | {"ORDERDECK_LOG_LEVEL": "DEBUG"})
    assert not is_as_loaded(os.environ | {"PYTHONPATH": "/elsewhere"})
    assert not is_as_loaded(
        {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONHASHSEED": "1"}
    )


def test_what_a_program_consists_of_can_be_loaded() -> None:
    """What cannot be is passed over, so a module that was given another name would go unnoticed."""
    for name in (*FOR_ALL, *PARTS.values()):
        assert importlib.util.find_spec(name), name
    assert PARTS.keys() <= {program.name for program in PROGRAMS}
