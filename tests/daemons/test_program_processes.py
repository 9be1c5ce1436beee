"""Several processes of a program: their names, their ports, and what is refused before anything listens."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from core.home import Home
from core.settings import Settings
from daemons.cli.ctl import full_name
from daemons.process import process_counts
from daemons.process.process_counts import current_counts, this_process, write_counts
from daemons.process.program_list import PROGRAMS, all_processes, counts_in, ports_of, process_named


def settings(*, at: Path = Path("/nowhere"), **values: int) -> Settings:
    return Settings.model_validate({"home": at, **values})


def test_one_process_has_the_name_and_the_port_of_its_program() -> None:
    ours = settings()
    assert [process.name for process in all_processes(counts_in(ours))] == [
        program.name for program in PROGRAMS if program.needed(ours)
    ]
    ports = [process.port(ours) for process in all_processes(counts_in(ours))]
    assert ports[:6] == [None, 8090, 8080, 8081, 9101, 9102]


def test_of_several_processes_each_has_a_number_and_a_port_of_its_own() -> None:
    ours = settings(command_api_count=2, saga_runner_count=3)
    ports = {process.name: process.port(ours) for process in all_processes(counts_in(ours))}
    assert [(name, port) for name, port in ports.items() if name[-1].isdigit()] == [
        ("command-api-1", 8180), ("command-api-2", 8280),
        ("saga-runner-1", 9202), ("saga-runner-2", 9302), ("saga-runner-3", 9402),
    ]  # fmt: skip
    assert "command-api" not in ports
    taken = ports_of(ours, counts_in(ours))
    assert {port for port, program in taken.items() if program.name == "command-api"} == {8080, 8180, 8280}
    assert {port for port, program in taken.items() if program.name == "saga-runner"} == {9202, 9302, 9402}


def test_the_default_ports_leave_room_for_the_most_processes() -> None:
    most = {program.count: 64 for program in PROGRAMS if program.count}
    ours = Settings.model_validate({**most, "kafka_brokers": "kafka:9092"})
    alone = [program for program in PROGRAMS if program.port and not program.count and program.needed(ours)]
    several = [program for program in PROGRAMS if program.count]
    assert len(ports_of(ours, counts_in(ours))) == len(alone) + sum(64 + program.one_port for program in several)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"command_port": 9000, "query_port": 9000}, ("ORDERDECK_QUERY_PORT", "ORDERDECK_COMMAND_PORT", "9000")),
        ({"query_port": 8280, "command_api_count": 2}, ("ORDERDECK_QUERY_PORT", "command-api", "8280")),
        ({"projector_port": 65_500, "projector_count": 2}, ("ORDERDECK_PROJECTOR_PORT", "projector-1", "65600")),
    ],
)
def test_ports_that_do_not_fit_together_are_refused_in_a_sentence(
    values: dict[str, int], names: tuple[str, ...]
) -> None:
    ours = Settings.model_validate(values)
    with pytest.raises(ConfigurationError) as refused:
        ports_of(ours, counts_in(ours))
    assert all(name in str(refused.value) for name in names), refused.value


@pytest.mark.parametrize(
    "name", ["postgres-1", "command-api-0", "command-api-01", "command-api-", "x-1", "", "-1", "projector-99999"]
)
def test_a_name_that_no_process_can_have_is_none(name: str) -> None:
    assert process_named(name) is None
    assert full_name(name) == name


def test_ctl_gives_supervisorctl_the_full_name_of_a_process() -> None:
    assert [full_name(word) for word in ("restart", "query-api-2", "projector", "projector:*")] == [
        "restart", "query-api:query-api-2", "projector", "projector:*",
    ]  # fmt: skip


def started_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["projector.py", *arguments])


def test_a_process_that_does_not_fit_the_setting_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = settings(), settings(projector_count=2)
    started_with(monkeypatch)
    assert this_process("projector", one).number is None
    with pytest.raises(ConfigurationError, match="ORDERDECK_PROJECTOR_COUNT is 2, so this process needs a number"):
        this_process("projector", two)
    for number, ours in (("1", one), ("3", two), ("0", two)):
        started_with(monkeypatch, number)
        with pytest.raises(ConfigurationError, match=f"process {number} of projector, and ORDERDECK_PROJECTOR_COUNT"):
            this_process("projector", ours)
    started_with(monkeypatch, "2")
    assert this_process("projector", two).name == "projector-2"


def test_a_running_process_learns_the_new_counts_from_the_file_of_its_own_supervisord(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, ours = Home(tmp_path), settings(at=tmp_path, projector_count=2)
    monkeypatch.setattr(Home, "counts", tmp_path / "processes.json")  # root has it where daemons can enter
    monkeypatch.setattr(process_counts, "unprivileged_user", lambda: None)
    monkeypatch.setattr(process_counts.os, "getppid", lambda: 77)
    assert current_counts(ours)["projector"] == 2
    write_counts(home, 77, {"projector": 4, "postgres": 9, "relay": 0})
    assert current_counts(ours) == {**counts_in(ours), "projector": 4}
    for other in (
        b'{"supervisord": 78, "counts": {"projector": 4}}',
        b"{",
        b"[]",
        b'{"supervisord": 77, "counts": {"a": -1}}',
    ):
        home.counts.write_bytes(other)
        assert current_counts(ours)["projector"] == 2, other
