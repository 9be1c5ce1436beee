"""A whole orderdeck: up, ready, killed in every way, up again with everything, and down without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from core.adapters.postgres.migrate import NEEDED
from core.home import unprivileged_user
from daemons.process.program_list import PROGRAMS
from tests.support.stack import ROOT, Stack, until

NAMES = [program.name for program in PROGRAMS if program.needs is None]
ADDRESS = {"street": "1 Market St", "city": "San Francisco", "state": "CA", "zip": "94105", "country": "US"}
ITEM = {"product_id": "LAPTOP-001", "sku": "LAPTOP-001", "quantity": 1, "unit_price": 1299}
ORDER = {"customer_id": "someone", "items": [ITEM], "shipping_address": ADDRESS}


def place(stack: Stack) -> str:
    answer = httpx.post(stack.url + "/api/v1/orders", json=ORDER, trust_env=False, timeout=20)
    assert answer.status_code == 201, answer.text
    return answer.json()["order_id"]


def read(stack: Stack, order_id: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:{stack.port('query')}/api/v1/orders/{order_id}"
    return httpx.get(url, trust_env=False, timeout=20).raise_for_status().json()


def is_ready(stack: Stack) -> bool:
    return bool(stack.status()["ready"])


def pids(stack: Stack) -> dict[str, int]:
    return {program["name"]: program["pid"] for program in stack.status()["programs"]}


def test_up_returns_when_every_program_is_ready(stack: Stack) -> None:
    status = stack.status()
    assert status["ready"]
    assert [program["name"] for program in status["programs"]] == NAMES
    assert {program["state"] for program in status["programs"]} == {"RUNNING"}
    assert status["projections"], "the lag of each projection"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each daemon is a Python of its own")
def test_daemons_share_what_they_have_loaded_and_are_called_as_if_each_had_loaded_it(stack: Stack) -> None:
    for program in PROGRAMS:
        if program.name in NAMES and program.name != "postgres":  # its watch shares nothing, and needs little
            process = psutil.Process(stack.pid_of(program.name))
            assert process.cmdline()[:3] == [sys.executable, "-m", program.module]
            sizes = dict(
                line.split()[:2] for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            )
            assert int(sizes["Shared_Dirty:"]) > 10_000, program.name  # kB


def test_a_daemon_shows_its_own_metrics_and_none_that_only_another_one_measures(stack: Stack) -> None:
    own = {
        "query": "orderdeck_log_position",
        "projector": "orderdeck_projector_position",
        "saga_runner": "orderdeck_saga_runner_sagas",
    }
    for name in ("payment", "command", *own):
        page = httpx.get(f"http://127.0.0.1:{stack.port(name)}/metrics", trust_env=False).text
        shown = [metric for metric in own.values() if f"\n{metric} " in page]
        assert shown == ([own[name]] if name in own else [])
        assert "\norderdeck_database_connections " in page, "every daemon has it"


def test_a_second_up_changes_nothing_and_prints_the_same(stack: Stack) -> None:
    before = pids(stack)
    output = stack.up()
    assert stack.url in output
    assert str(stack.home.path) in output
    assert pids(stack) == before


def test_up_with_another_port_while_it_runs_says_to_go_down_first(stack: Stack) -> None:
    other = Stack(stack.home.path)
    other.settings = stack.settings | {
        "ORDERDECK_QUERY_PORT": other.settings["ORDERDECK_QUERY_PORT"],
        "LOG_LEVEL": "DEBUG",
    }
    done = other.orderdeck("up")
    assert done.returncode == 1
    assert "already runs here with another ORDERDECK_QUERY_PORT, LOG_LEVEL: `orderdeck down` first" in done.stderr


def test_the_ctl_command_is_the_supervisorctl_of_this_home(stack: Stack, tmp_path: Path) -> None:
    done = stack.orderdeck("ctl", "status", cwd=tmp_path, ORDERDECK_TLS_KEY="/no certificate, which stops nobody here")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [[name, "RUNNING"] for name in sorted(NAMES)]


def test_the_command_that_stops_a_program_says_how_to_start_it_again(stack: Stack) -> None:
    stack.orderdeck("ctl", "stop", "projector")
    stopped = next(program for program in stack.status()["programs"] if program["name"] == "projector")
    assert (stopped["state"], stopped["ready"]) == ("STOPPED", False)
    assert stopped["reason"] == "stopped with exit code 0; `orderdeck up` starts it again"
    stack.up()
    assert is_ready(stack)


def test_the_deck_without_a_terminal_is_refused_in_one_sentence(stack: Stack) -> None:
    done = stack.orderdeck("tui")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("orderdeck: the deck needs a terminal")


def test_migrate_again_changes_nothing(stack: Stack) -> None:
    for _ in range(2):
        assert stack.orderdeck("migrate").stdout == f"the schema is at {NEEDED}\n"


def test_the_doctor_finds_nothing_wrong(stack: Stack) -> None:
    done = stack.orderdeck("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"the schema is at {NEEDED}, as" in done.stdout
    assert "database orderdeck, user orderdeck_app" in done.stdout
    assert f"its ledger is {stack.home.ledger}\n" in done.stdout  # the how-to for a backup tells operators to look here


def test_the_demo_runs_twice_and_follows_five_orders_to_their_ends_each_time(stack: Stack) -> None:
    for letters in ("utf-8", "ascii"):  # of the stdout: the demo prints more letters than the second one has
        done = stack.orderdeck("demo", PYTHONIOENCODING=letters)
        assert done.returncode == 0, done.stdout + done.stderr
        ends = [line.split()[1] for line in done.stdout.splitlines()[-5:]]
        assert ends == ["DELIVERED", "CANCELLED", "CANCELLED", "CONFIRMED", "CANCELLED"]


def test_a_killed_daemon_is_started_again(stack: Stack) -> None:
    before = pids(stack)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    until(lambda: is_ready(stack) and not set(pids(stack).values()) & set(before.values()), seconds=40)


def test_up_brings_back_every_order_after_every_process_was_killed(stack: Stack) -> None:
    order_id = place(stack)
    everything = stack.processes()
    assert len(everything) >= len(NAMES) + 2  # supervisord and the server
    for process in everything:
        process.kill()
    until(lambda: not stack.processes())
    assert stack.home.supervisor_socket.exists()
    stack.up()
    assert read(stack, order_id)["order_id"] == order_id


def test_every_program_ends_when_supervisord_is_killed(stack: Stack) -> None:
    os.kill(int(stack.home.supervisord_pid.read_text()), signal.SIGKILL)
    until(lambda: not stack.processes())
    stack.up()


def test_two_ups_at_once_start_one_stack(stack: Stack) -> None:
    stack.orderdeck("down")
    ups = [threading.Thread(target=stack.up) for _ in range(2)]
    for each in ups:
        each.start()
    for each in ups:
        each.join()
    supervisors = [p for p in stack.processes() if any("supervisord" in word for word in p.cmdline())]
    assert len(supervisors) == 1
    assert is_ready(stack)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder whose own modules have names of ours."""
    for name in ("core", "daemons", "litestar"):
        (tmp_path / "elsewhere" / name).mkdir(parents=True)
        (tmp_path / "elsewhere" / name / "__init__.py").write_text("raise SystemExit(9)\n")
    return tmp_path / "elsewhere"


def test_a_second_home_with_a_long_path_runs_beside_the_first_and_leaves_no_trace(
    stack: Stack, tmp_path: Path, elsewhere: Path
) -> None:
    closed = tmp_path / "a home with spaces"
    closed.mkdir(mode=0o700)  # when root starts it, the daemons' user cannot enter, and the data lies elsewhere
    path = closed / ("and a long name " * 6).strip()
    with Stack(path) as other:
        started = other.orderdeck("up", cwd=elsewhere)
        assert started.returncode == 0, started.stdout + started.stderr
        assert "RUNNING" in other.orderdeck("ctl", "status", "command-api", cwd=elsewhere).stdout
        assert not other.home.run.is_relative_to(other.home.path)
        assert other.home.moved == (os.geteuid() == 0)
        order_id = place(other)
        assert read(other, order_id)["order_id"] == order_id
        assert httpx.get(stack.url + f"/api/v1/orders/{order_id}", trust_env=False).status_code in {404, 405}
        psutil.Process(other.pid_of("payment-sandbox")).suspend()
        began = time.monotonic()
        done = other.orderdeck("down")
        assert (done.returncode, done.stdout.strip()) == (0, "orderdeck is down")
        assert "waits for payment-sandbox;" in done.stderr
        assert time.monotonic() - began < 20, "supervisord killed it"
        assert other.processes() == []
        assert not other.home.run.exists()
        assert is_ready(stack)
        assert other.orderdeck("down", "--forget").returncode == 0
        assert not other.home.postgres.exists()
        assert not other.home.system_place.exists()


def test_plain_supervisord_and_supervisorctl_run_the_checkout(short_folder: Path) -> None:
    shutil.copy(ROOT / "supervisord.conf", short_folder)
    (short_folder / ".venv").symlink_to(sys.prefix)
    for folder in ("run", "logs"):
        (short_folder / ".orderdeck" / folder).mkdir(parents=True)
    with Stack(short_folder / ".orderdeck") as stack:
        env = {name: value for name, value in stack.env.items() if name != "ORDERDECK_HOME"} | {"PYTHONPATH": str(ROOT)}

        def run(program: str, *arguments: str) -> str:
            command = [sys.executable, "-m", f"supervisor.{program}", "-c", "supervisord.conf", *arguments]
            return subprocess.run(
                command, cwd=short_folder, env=env, capture_output=True, text=True, check=False
            ).stdout

        run("supervisord")
        until(lambda: is_ready(stack), seconds=30)
        assert run("supervisorctl", "status").count("RUNNING") == len(NAMES)
        run("supervisorctl", "shutdown")
        until(lambda: not stack.processes(), seconds=40)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_no_daemon_that_root_has_started_keeps_a_right_of_root(stack: Stack) -> None:
    user = unprivileged_user()
    assert user is not None
    checked = {name: Path(f"/proc/{pid}/status").read_text() for name, pid in pids(stack).items()}
    for name, text in checked.items():
        status = dict(line.split(":\t", 1) for line in text.splitlines())
        assert set(status["Uid"].split()) == {str(user.pw_uid)}, name
        assert set(status["Gid"].split() + status["Groups"].split()) == {str(user.pw_gid)}, name
        for rights in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[rights], 16) == 0, (name, rights)
        assert status["NoNewPrivs"] == "1", name
    assert set(checked) == set(NAMES)
    for folder in stack.home.postgres, stack.home.postgres_sockets, stack.home.ledger.parent:
        assert (folder.stat().st_uid, folder.stat().st_mode & 0o077) == (user.pw_uid, 0), folder
    for folder in stack.home.path, stack.home.logs, stack.home.run:
        assert (folder.stat().st_uid, folder.stat().st_mode & 0o027) == (0, 0), folder
