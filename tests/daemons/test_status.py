"""What the status says of programs of which supervisord says nothing, and of a server that is frozen."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.home import Home
from core.settings import Settings, load_settings
from daemons.cli.main import app
from daemons.host import leftovers, supervisor_socket
from daemons.host.status import program_status, stack_status
from daemons.host.supervisor import ProgramState
from daemons.host.supervisor_socket import SupervisorSilent
from daemons.process.program_list import process_named


def reasons(settings: Settings) -> set[str]:
    return {program.reason for program in stack_status(settings).programs}


def test_a_supervisord_that_does_not_answer_is_not_said_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, home = load_settings(home=tmp_path), Home(tmp_path)
    home.create()
    [gone] = reasons(settings)
    assert gone.startswith("supervisord does not run")
    monkeypatch.setattr(supervisor_socket.SupervisorSocket.__init__, "__kwdefaults__", {"within": 0.1})
    with socket.socket(socket.AF_UNIX) as frozen:  # it takes connections, as the kernel does for a stopped process
        frozen.bind(str(home.supervisor_socket))
        frozen.listen()
        status = stack_status(settings)
        assert status.running
        assert {(each.state, each.reason) for each in status.programs} == {("UNKNOWN", str(SupervisorSilent(0.1)))}


def test_beside_a_frozen_supervisord_nothing_is_started_or_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(_: object) -> None:
        raise AssertionError("processes were ended")

    home = Home(tmp_path)
    home.create()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORDERDECK_HOME", str(tmp_path))
    monkeypatch.setattr(leftovers, "end", end)
    monkeypatch.setattr(supervisor_socket.SupervisorSocket.__init__, "__kwdefaults__", {"within": 0.1})
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(home.supervisor_socket))
        frozen.listen()
        for command in ("up", "up --other-ports", "ctl status", "backup copy"):
            assert isinstance(CliRunner().invoke(app, command.split()).exception, SupervisorSilent), command
        assert home.supervisor_socket.exists()


def test_a_program_that_the_running_stack_does_not_have_yet_is_said_to_need_an_up(tmp_path: Path) -> None:
    process = process_named("grpc-api")
    assert process is not None
    status = program_status(process, None, load_settings(home=tmp_path, grpc=True))
    assert (status.ready, status.reason) == (False, "not started: run `orderdeck up`")


def test_a_frozen_postgres_is_not_ready(postgres: EmbeddedPostgres) -> None:
    process, server = process_named("postgres"), postgres.process
    assert process is not None
    assert server is not None
    settings = load_settings(home=postgres.home.path, database_url=None)
    running = ProgramState("postgres", "RUNNING", server.pid, 1, 0, "")
    assert program_status(process, running, settings).ready
    server.send_signal(signal.SIGSTOP)
    try:
        status = program_status(process, running, settings, within=0.2)
    finally:
        server.send_signal(signal.SIGCONT)
    assert (status.ready, status.reason) == (False, "has not answered within 0.1 s")
