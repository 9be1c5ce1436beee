"""The orderdeck command, where nothing runs: every refusal is one sentence that says what to do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.addresses import default_home
from core.errors import ConfigurationError
from core.home import OWNER, unprivileged_user
from core.home_setting import settings_to_stop_with
from tests.support.stack import ROOT, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "home") as stack:
        yield stack


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr.strip()


def test_help_lists_every_command_and_imports_none_of_them(stack: Stack) -> None:
    listed = stack.orderdeck("--help").stdout
    for command in ("up", "down", "status", "tui", "demo", "migrate", "daemon", "ctl", "doctor"):
        assert f" {command} " in listed
    heavy = "{'litestar', 'textual', 'asyncpg', 'uvicorn', 'httpx'} & set(sys.modules)"
    look = f"import sys, daemons.cli.main; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", look], cwd=ROOT, check=False).returncode == 0


def test_up_checks_the_ports_before_it_starts_anything(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", stack.port("query"))):
        message = sentence(stack.orderdeck("up"))
    assert message.startswith(f"orderdeck: port {stack.port('query')} is taken (by ")
    assert message.endswith("set ORDERDECK_QUERY_PORT to another")
    assert stack.processes() == []


def test_up_names_every_taken_port_at_once(stack: Stack) -> None:
    with (
        socket.create_server(("127.0.0.1", stack.port("query"))),
        socket.create_server(("127.0.0.1", stack.port("payment"))),
    ):
        message = sentence(stack.orderdeck("up"))
    for name in ("query", "payment"):
        assert f"port {stack.port(name)} is taken (by " in message
        assert f"set ORDERDECK_{name.upper()}_PORT to another" in message
    assert stack.processes() == []


def test_up_refuses_a_misspelt_setting(stack: Stack) -> None:
    stack.settings["ORDERDECK_HOTS"] = "x"
    assert (
        sentence(stack.orderdeck("up"))
        == "orderdeck: there is no setting ORDERDECK_HOTS; did you mean ORDERDECK_HOSTS?"
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_URL", "mysql://me:secret@db", "DATABASE_URL: must begin with postgresql://"),
        ("ORDERDECK_QUERY_URL", "desk", "ORDERDECK_QUERY_URL='desk': must begin with http:// or https://"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL='loud': Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ],
)
def test_a_command_refuses_a_bad_value_and_names_the_variable_that_was_set(
    stack: Stack, name: str, value: str, message: str
) -> None:
    for other in ("ORDERDECK_LOG_LEVEL", "LOG_LEVEL"):
        stack.settings.pop(other, None)
    stack.settings[name] = value
    assert sentence(stack.orderdeck("up")) == f"orderdeck: {message}"


@pytest.mark.parametrize("command", ["up", "migrate", "doctor"])
def test_a_command_says_in_a_sentence_what_is_wrong_with_your_database_and_starts_nothing(
    stack: Stack, postgres: EmbeddedPostgres, command: str
) -> None:
    stack.settings["DATABASE_URL"] = postgres.dsn("postgres")
    done = stack.orderdeck(command)
    assert done.returncode == 1
    assert f"{OWNER} is a superuser, and no daemon of orderdeck logs in as one: put" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert stack.processes() == []


def test_ctl_where_nothing_is_up_says_how_to_start_it(stack: Stack) -> None:
    assert "`orderdeck up` first" in sentence(stack.orderdeck("ctl", "status"))


def test_down_where_nothing_is_up_succeeds_twice(stack: Stack) -> None:
    for _ in range(2):
        done = stack.orderdeck("down")
        assert (done.returncode, done.stdout.strip()) == (0, "orderdeck was not up")


def test_a_wrong_setting_keeps_nobody_from_stopping_what_runs(stack: Stack) -> None:
    stack.settings["ORDERDECK_TLS_CERTIFICATE"] = "/desk.pem"
    done = stack.orderdeck("down")
    assert (done.returncode, done.stdout.strip()) == (0, "orderdeck was not up")
    assert "belong together: set both; going on in" in done.stderr
    assert "without --forget the command goes on" in sentence(stack.orderdeck("down", "--forget"))


def test_a_home_that_is_wrong_or_misspelt_stops_nothing_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORDERDECK_HOME", raising=False)
    Path(".env").write_text(f"ORDERDECK_HOME={tmp_path}/mine\nORDERDECK_HOTS=x\n")
    settings, wrong = settings_to_stop_with()
    assert settings.home == tmp_path / "mine"
    assert "ORDERDECK_HOTS" in str(wrong)
    Path(".env").write_text(f"ORDERDECK_HOEM={tmp_path}/mine\n")
    with pytest.raises(ConfigurationError, match="ORDERDECK_HOEM"):
        settings_to_stop_with()


def test_status_where_nothing_is_up_says_so(stack: Stack) -> None:
    assert stack.status()["running"] is False
    assert {program["state"] for program in stack.status()["programs"]} == {"DOWN"}
    assert stack.orderdeck("status").returncode == 1


def test_the_demo_says_how_to_start_the_services_it_needs(stack: Stack) -> None:
    message = sentence(stack.orderdeck("demo"))
    assert f"nothing answers at {stack.url}" in message
    assert "orderdeck up" in message


def test_a_command_refuses_an_unknown_daemon_and_lists_the_known_ones(stack: Stack) -> None:
    assert "command-api" in sentence(stack.orderdeck("daemon", "comand-api"))


def test_the_doctor_finds_nothing_wrong_with_a_fresh_home(stack: Stack) -> None:
    done = stack.orderdeck("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("nothing is wrong\n")


def test_the_doctor_finds_a_taken_port(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", stack.port("payment"))):
        done = stack.orderdeck("doctor")
    assert done.returncode == 1
    assert f"WRONG  ports: port {stack.port('payment')} is taken" in done.stdout


def test_a_home_that_is_a_file_is_refused_in_one_sentence(stack: Stack) -> None:
    stack.home.path.write_text("not a folder")
    assert "remove it, or set another ORDERDECK_HOME" in sentence(stack.orderdeck("up"))
    stack.home.path.unlink()


def test_in_a_checkout_the_command_uses_the_same_home_as_make_and_supervisord() -> None:
    assert default_home() == ROOT / ".orderdeck"


# --- as an ordinary user ------------------------------------------------------------------------------------
# The interpreter may be where the other user cannot read, so what is needed is imported before.
AS_USER = """
import os, sys
import daemons.cli.main, daemons.host.stack
uid, gid = int(sys.argv[1]), int(sys.argv[2])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
sys.argv = ["orderdeck", *sys.argv[3:]]
daemons.cli.main.main()
"""


@pytest.fixture
def unwritable() -> Iterator[Path]:
    folder = Path("/tmp") / f"orderdeck-test-{os.getpid()}"  # noqa: S108 - a folder that the other user can enter
    folder.mkdir(mode=0o755)
    folder.chmod(0o755 if os.geteuid() == 0 else 0o555)
    yield folder
    shutil.rmtree(folder)


def test_an_unwritable_home_is_refused_in_one_sentence(stack: Stack, unwritable: Path) -> None:
    user = unprivileged_user()
    uid, gid = (user.pw_uid, user.pw_gid) if user else (os.getuid(), os.getgid())
    done = subprocess.run(
        [sys.executable, "-c", AS_USER, str(uid), str(gid), "up"],
        env=stack.env | {"ORDERDECK_HOME": str(unwritable / "home"), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert sentence(done) == (
        f"orderdeck: cannot write {unwritable / 'home'} (Permission denied): set ORDERDECK_HOME to a folder of your own"
    )


def test_what_keeps_supervisord_from_starting_is_named_in_one_sentence(stack: Stack) -> None:
    stack.home.create()
    for name, said in (
        (stack.home.supervisor_socket, "is in the way and cannot be removed: Is a directory"),
        (stack.home.supervisord_pid, "is in the way and cannot be removed: Is a directory"),
        (stack.home.logs / "supervisord.log", "supervisord did not start: IsADirectoryError"),
    ):
        name.mkdir()
        assert said in sentence(stack.orderdeck("up")), name
        name.rmdir()
    limited = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", sys.executable, "-m", "daemons.cli.main"]

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*limited, command], cwd=ROOT, env=stack.env, capture_output=True, text=True, timeout=60, check=False
        )

    assert "The minimum number of file descriptors required to run this process" in sentence(run("up"))
    assert "WRONG  limits: a program may have only 200 files" in run("doctor").stdout
    assert stack.processes() == []
