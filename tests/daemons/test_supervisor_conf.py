"""supervisord's configuration: one table makes the checkout's and every home's, and supervisord reads both."""

from __future__ import annotations

import re
import shlex
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from core.home import LONGEST_SOCKET_PATH, Home
from daemons.host.programs import checkout_conf, supervisord_conf
from daemons.process.program_list import PROGRAMS
from tests.support.stack import ROOT


def test_the_checkouts_supervisord_conf_is_what_the_table_of_programs_generates() -> None:
    assert (ROOT / "supervisord.conf").read_text(encoding="utf-8") == checkout_conf(), "see CONTRIBUTING.md"


def test_supervisord_reads_the_configuration_without_any_environment_variable() -> None:
    assert "%(ENV_" not in checkout_conf()


def test_a_fresh_clone_has_the_folders_that_the_configuration_needs() -> None:
    for folder in ("run", "logs"):
        assert (ROOT / ".orderdeck" / folder / ".gitignore").exists(), "git add -f it"


def read(conf: Path, monkeypatch: pytest.MonkeyPatch) -> ServerOptions:
    monkeypatch.setattr(sys, "argv", ["supervisord"])
    options = ServerOptions()
    options.realize(["-c", str(conf)])
    return options


@pytest.mark.parametrize("folder", ["plain", "with a space", "100%", "quote's"])
def test_a_home_with_any_path_can_be_written_into_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    home = Home(tmp_path / folder)
    monkeypatch.setattr(Home, "run", home.path)  # wherever its sockets are; here they would be too long
    home.create()
    home.supervisord_conf.write_text(supervisord_conf(home, sys.executable, {}), encoding="utf-8")
    options = read(home.supervisord_conf, monkeypatch)
    processes = [group.process_configs[0] for group in options.process_group_configs]
    assert [process.name for process in processes] == [program.name for program in PROGRAMS]
    for process, program in zip(processes, PROGRAMS, strict=True):
        assert shlex.split(process.command) == [sys.executable, "-m", program.module]
        assert process.stdout_logfile == str(home.logs / f"{program.name}.log")
        assert (process.stopwaitsecs, process.killasgroup, process.startretries) == (30, True, 1000000)
    assert options.serverurl is None or options.serverurl.endswith("supervisor.sock")


def test_several_processes_of_a_program_have_numbers_in_their_names_commands_and_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "100%")
    monkeypatch.setattr(Home, "run", home.path)
    home.create()
    home.supervisord_conf.write_text(supervisord_conf(home, sys.executable, {"projector": 3}), encoding="utf-8")
    groups = {
        group.name: group.process_configs for group in read(home.supervisord_conf, monkeypatch).process_group_configs
    }
    assert list(groups) == [program.name for program in PROGRAMS]
    several = sorted(groups.pop("projector"), key=lambda process: process.name)
    assert {len(processes) for processes in groups.values()} == {1}
    for number, process in enumerate(several, 1):
        assert process.name == f"projector-{number}"
        assert shlex.split(process.command) == [sys.executable, "-m", "daemons.projector", str(number)]
        assert process.stdout_logfile == str(home.logs / f"projector-{number}.log")
    assert len(several) == 3


def test_what_the_guide_says_to_write_by_hand_starts_as_many_processes_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (ROOT / "docs/how-to/run-many-of-each.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```\n(\[program:command-api\]\n.*?)```", guide, re.DOTALL)
    written = dict(line.split("=", 1) for line in block.strip().splitlines()[1:])
    conf = RawConfigParser()
    conf.read_string(checkout_conf())
    for name, value in written.items():
        conf["program:command-api"][name] = value
    for folder in ("run", "logs"):
        (tmp_path / ".orderdeck" / folder).mkdir(parents=True)
    with (tmp_path / "supervisord.conf").open("w") as file:
        conf.write(file)
    groups = {group.name: group for group in read(tmp_path / "supervisord.conf", monkeypatch).process_group_configs}
    by_hand = sorted(groups["command-api"].process_configs, key=lambda process: process.name)
    assert [(process.name, process.command.split()[-2:]) for process in by_hand] == [
        ("command-api-1", ["daemons.command_api", "1"]),
        ("command-api-2", ["daemons.command_api", "2"]),
    ]
    assert [Path(process.stdout_logfile).name for process in by_hand] == ["command-api-1.log", "command-api-2.log"]


def test_supervisorctl_finds_the_socket_that_supervisord_makes() -> None:
    conf = RawConfigParser()
    conf.read_string(checkout_conf())
    assert conf["supervisorctl"]["serverurl"] == "unix://" + conf["unix_http_server"]["file"]


def test_a_home_with_a_long_path_has_its_sockets_in_a_short_private_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    home, other = Home(deep), Home(deep / "other")
    for socket in (home.supervisor_socket, home.postgres_sockets / ".s.PGSQL.5432"):
        assert len(str(socket)) < LONGEST_SOCKET_PATH
    assert home.run != other.run
    home.create()
    assert home.run.stat().st_mode & 0o066 == 0
    home.run.rmdir()
