"""What every daemon does the same way: start, say how it is, wait for what is away, drain, and end."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from core.processes import die_with_parent
from tests.support.forked_daemon import ForkedDaemon
from tests.support.stack import ROOT, Stack, until

SERVICE = """
import asyncio, os, sys
from contextlib import asynccontextmanager
from pathlib import Path
from core.errors import Unavailable
from daemons.process.runtime import run_service

folder = Path(sys.argv[1])

@asynccontextmanager
async def open_app(settings, vitals):
    if not (folder / "there").exists():
        raise Unavailable("the database is away")

    async def app(scope, receive, send):
        if scope["path"] == "/hang":
            import time
            time.sleep(3600)
        (folder / "asked").touch()
        while scope["path"] == "/slow" and not (folder / "go").exists():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def check():
        return "the queue is full" if (folder / "full").exists() else None

    vitals.started(check)
    yield app
    (folder / "closed").touch()

run_service("command-api", "command_port", open_app)
"""

READER = """
import sys
from pathlib import Path
from daemons.process.runtime import run_reader

folder = Path(sys.argv[1])

async def work(settings, vitals):
    if not (folder / "there").exists():
        raise OSError("connection refused")
    vitals.started()
    await vitals.stop.wait()
    (folder / "finished").touch()

run_reader("projector", "command_port", work)
"""


class Daemon:
    def __init__(self, folder: Path, script: str, **settings: str) -> None:
        self.folder = folder
        stack = Stack(folder / "home", **settings)
        self.url, self.port = stack.url, stack.port("command")
        self.log = folder / "log"
        self.process = ForkedDaemon(("-c", script, str(folder)), stack.env, self.log)

    def touch(self, name: str) -> None:
        (self.folder / name).touch()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, trust_env=False, timeout=20)

    def answers(self, path: str, status: int) -> bool:
        try:
            return self.get(path).status_code == status
        except httpx.TransportError:
            assert self.process.poll() is None, self.log.read_text()
            return False


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Daemon]]:
    daemons: list[Daemon] = []
    yield daemons
    for daemon in daemons:
        daemon.process.kill()
        daemon.process.wait()


def start(started: list[Daemon], folder: Path, script: str = SERVICE, *, there: bool = True, **settings: str) -> Daemon:
    if there:
        (folder / "there").touch()
    daemon = Daemon(folder, script, **settings)
    started.append(daemon)
    return daemon


def test_a_service_whose_database_is_away_listens_and_ready_says_why_it_waits(
    started: list[Daemon], tmp_path: Path
) -> None:
    daemon = start(started, tmp_path, there=False)
    until(lambda: daemon.answers("/health", 200))
    until(lambda: daemon.get("/ready").json()["reason"] == "the database is away")
    command = daemon.get("/api/v1/orders")
    assert (command.status_code, command.headers["retry-after"]) == (503, "1")
    assert command.json()["code"] == "unavailable"
    daemon.touch("there")
    until(lambda: daemon.answers("/ready", 200))
    assert daemon.get("/api/v1/orders").text == "done"


def test_ready_repeats_what_the_daemons_own_check_says(started: list[Daemon], tmp_path: Path) -> None:
    daemon = start(started, tmp_path)
    until(lambda: daemon.answers("/ready", 200))
    daemon.touch("full")
    answer = daemon.get("/ready")
    assert (answer.status_code, answer.json()["reason"]) == (503, "the queue is full")
    assert daemon.get("/health").json()["service"] == "command-service"
    assert "process_cpu_seconds_total" in daemon.get("/metrics").text


def test_a_service_that_is_told_to_stop_answers_what_it_accepted(started: list[Daemon], tmp_path: Path) -> None:
    daemon = start(started, tmp_path)
    until(lambda: daemon.answers("/ready", 200))
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(daemon.get, "/slow")
        until((tmp_path / "asked").exists)
        daemon.process.send_signal(signal.SIGTERM)
        until(lambda: refuses_connections(daemon.port))
        assert not (tmp_path / "closed").exists(), "what the request needs was closed under it"
        daemon.touch("go")
        assert slow.result().text == "done"
    assert daemon.process.wait(10) == 0
    assert (tmp_path / "closed").exists()


def refuses_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_reader_daemon_finishes_its_work_and_ends_cleanly_when_it_is_told_to_stop(
    started: list[Daemon], tmp_path: Path, number: signal.Signals
) -> None:
    daemon = start(started, tmp_path, READER)
    until(lambda: daemon.answers("/ready", 200))
    daemon.process.send_signal(number)
    assert daemon.process.wait(10) == 0
    assert (tmp_path / "finished").exists()


def test_a_reader_daemon_starts_its_work_again_after_any_error_without_ending_its_process(
    started: list[Daemon], tmp_path: Path
) -> None:
    daemon = start(started, tmp_path, READER, there=False)
    until(lambda: daemon.answers("/ready", 503))
    until(lambda: daemon.get("/ready").json()["reason"] == "connection refused")
    daemon.touch("there")
    until(lambda: daemon.answers("/ready", 200))
    assert daemon.process.poll() is None


def test_a_daemon_that_waits_for_its_database_stops_at_once(started: list[Daemon], tmp_path: Path) -> None:
    daemon = start(started, tmp_path, READER, there=False)
    until(lambda: daemon.answers("/ready", 503))
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(5) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ORDERDECK_HOST": "0.0.0.0"}, "ORDERDECK_REQUIRE_KEYS=true and make keys"),  # noqa: S104 - to be refused
        ({"ORDERDECK_REQUIRE_KEYS": "true", "ORDERDECK_ALLOW_ANONYMOUS": "true"}, "set one of them"),
        ({"ORDERDECK_API_KEY": "a b"}, "ORDERDECK_API_KEY: must be a key"),
        ({"ORDERDECK_HOST": "not.an.address.invalid"}, "is not an address"),
        ({"ORDERDECK_COMAND_PORT": "1"}, "did you mean ORDERDECK_COMMAND_PORT?"),
        ({"ORDERDECK_QUERY_PORT": "80801"}, "ORDERDECK_QUERY_PORT='80801'"),
        ({"ORDERDECK_FAILPOINTS": "projector.after_pol=1"}, "'projector.after_pol=1' is no failpoint"),
        ({"ORDERDECK_FAILPOINTS": "projector.after_poll=2"}, "points are command-api.after_enqueue,"),
        ({"ORDERDECK_HOSTS": "desk.lan:8080"}, "must be a name or an address without a port"),
        ({"ORDERDECK_HOSTS": "1:::2"}, "ORDERDECK_HOSTS='1:::2'"),
        ({"ORDERDECK_CORS_ORIGINS": "desk.lan"}, "must be an origin such as"),
        ({"ORDERDECK_FAILPOINTS": "seed=x"}, "'seed=x' is no failpoint"),
    ],
)
def test_a_daemon_with_a_wrong_setting_says_it_in_one_sentence_and_exits_with_78(
    started: list[Daemon], tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    daemon = start(started, tmp_path, SERVICE, there=True, **settings)
    assert daemon.process.wait(20) == 78
    assert message in daemon.log.read_text()
    assert len(daemon.log.read_text().splitlines()) == 1


def test_a_daemon_whose_port_is_taken_names_the_port_its_holder_and_the_setting(
    started: list[Daemon], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taker:
        port = taker.getsockname()[1]
        daemon = start(started, tmp_path, ORDERDECK_COMMAND_PORT=str(port))
        assert daemon.process.wait(20) == 78
    name = psutil.Process().name()
    expected = f"command-api: port {port} is taken (by {name}, pid {psutil.Process().pid}): set ORDERDECK_COMMAND_PORT"
    assert daemon.log.read_text().startswith(expected)


def test_a_daemon_listens_beyond_loopback_when_the_settings_allow_it(started: list[Daemon], tmp_path: Path) -> None:
    daemon = start(started, tmp_path, ORDERDECK_HOST="0.0.0.0", ORDERDECK_ALLOW_ANONYMOUS="true")  # noqa: S104 - meant
    until(lambda: daemon.answers("/ready", 200))


# Ten looks at the event loop, 0.4 s apart: a loop that turns every second is left alone, also on a busy machine.
SHORT_PATIENCE = (
    "import daemons.process.runtime as r; r.HANG_LIMIT = 50; r.time.sleep = lambda _, wait=r.time.sleep: wait(0.4)\n"
)


def test_a_hanging_event_loop_ends_the_process_with_70_and_says_where_it_hangs(
    started: list[Daemon], tmp_path: Path
) -> None:
    daemon = start(
        started,
        tmp_path,
        SHORT_PATIENCE + SERVICE.replace("time.sleep(3600)", "__import__('threading').Event().wait()"),
    )
    until(lambda: daemon.answers("/ready", 200))
    with pytest.raises(httpx.TransportError):
        daemon.get("/hang")
    assert daemon.process.wait(30) == 70
    assert "in app" in daemon.log.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the parent-death signal")
def test_a_supervised_daemon_does_not_outlive_its_supervisor(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    env = stack.env | {"SUPERVISOR_ENABLED": "1"}
    middle = "import subprocess as s, sys; p = s.Popen([sys.executable, '-c', *sys.argv[1:]]); print(p.pid); p.wait()"
    (tmp_path / "there").touch()
    with subprocess.Popen(
        [sys.executable, "-u", "-c", middle, READER, str(tmp_path)],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
    ) as supervisor:
        assert supervisor.stdout is not None
        daemon = psutil.Process(int(supervisor.stdout.readline()))
        try:
            assert b"started" in supervisor.stdout.readline()
            supervisor.kill()
            until(lambda: not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                daemon.kill()
            for folder in (stack.home.system_place, stack.home.run):  # which it has made, when we are root
                shutil.rmtree(folder, ignore_errors=True)
