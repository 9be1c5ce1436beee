"""Several processes answer on one port: whoever is frozen, not ready, killed or stopped keeps no caller waiting."""

from __future__ import annotations

import json
import signal
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.home import Home
from tests.support.forked_daemon import ForkedDaemon
from tests.support.raw_http import read, request, send
from tests.support.stack import Stack, until

API = """
import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from daemons.process.runtime import run_service

folder = Path(sys.argv.pop(1))

@asynccontextmanager
async def open_app(settings, vitals):
    while (folder / f"{vitals.process} waits").exists():
        await asyncio.sleep(0.02)
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"13")]})
        await send({"type": "http.response.body", "body": vitals.process.encode()})
    async def check():
        return "it is told to be unready" if (folder / f"{vitals.process} is unready").exists() else None
    vitals.started(check)
    yield app

run_service("command-api", "command_port", open_app)
"""


class Processes:
    """Processes of a program without a database, on one port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = Stack(folder / "home", ORDERDECK_COMMAND_API_COUNT="3")
        self.port = self.stack.port("command")
        self.running: dict[int, ForkedDaemon] = {}

    def start(self, number: int, *, stack: Stack | None = None) -> ForkedDaemon:
        process = ForkedDaemon(
            ("-c", API, str(self.folder), str(number)), (stack or self.stack).env, self.folder / f"log-{number}"
        )
        if stack is None:
            self.running[number] = process
        return process

    def log(self, number: int) -> str:
        return (self.folder / f"log-{number}").read_text()

    def ready(self, number: int) -> bool:
        try:
            return send(self.port + 100 * number, request(target="/ready")).status == 200
        except OSError:
            assert self.running[number].poll() is None, self.log(number)
            return False

    def who_answers(self, times: int = 30) -> Counter[str]:
        """Which process answers how many of so many connections, one after another; each is answered soon."""
        began = time.monotonic()
        answers = [send(self.port, request(target="/")) for _ in range(times)]
        assert {answer.status for answer in answers} == {200}
        assert time.monotonic() - began < 5
        return Counter(answer.rest.decode() for answer in answers)

    def close(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


@pytest.fixture
def processes() -> Iterator[Processes]:
    with tempfile.TemporaryDirectory(prefix="od-") as folder:  # short enough for sockets, which pytest's own are not
        processes = Processes(Path(folder))
        yield processes
        processes.close()


def names(*numbers: int) -> set[str]:
    return {f"command-api-{number}" for number in numbers}


def test_connections_are_spread_and_none_waits_for_a_process_that_is_frozen_unready_killed_or_stopped(
    processes: Processes,
) -> None:
    (processes.folder / "command-api-3 waits").touch()
    for number in (1, 2, 3):
        processes.start(number)
    until(lambda: processes.ready(1) and processes.ready(2))
    until(lambda: set(processes.who_answers()) == names(1, 2))  # the third has the socket and is not ready

    # all are ready: each gets about its part, of connections that are closed and of those that stay open
    (processes.folder / "command-api-3 waits").unlink()
    until(lambda: processes.ready(3))
    until(lambda: set(processes.who_answers()) == names(1, 2, 3))
    assert min(processes.who_answers(60).values()) >= 6
    opened = [socket.create_connection(("127.0.0.1", processes.port), timeout=5) for _ in range(30)]
    try:
        owners: dict[str, list[socket.socket]] = {}
        for connection in opened:
            connection.sendall(request(target="/"))
            owners.setdefault(read(connection).rest.decode(), []).append(connection)
        assert set(owners) == names(1, 2, 3)
        assert min(len(each) for each in owners.values()) >= 3, {name: len(each) for name, each in owners.items()}

        # frozen: the others take every new connection, and it goes on when it is thawed
        second = psutil.Process(processes.running[2].pid)
        second.suspend()
        assert set(processes.who_answers()) == names(1, 3)
        second.resume()
        until(lambda: set(processes.who_answers()) == names(1, 2, 3))

        # not ready: the others answer, and the process itself says why
        (processes.folder / "command-api-1 is unready").touch()
        until(lambda: set(processes.who_answers()) == names(2, 3))
        answer = send(processes.port + 100, request(target="/ready"))
        assert (answer.status, answer.document["process"]) == (503, "command-api-1")
        (processes.folder / "command-api-1 is unready").unlink()
        until(lambda: set(processes.who_answers()) == names(1, 2, 3))

        # killed: only its own connections break
        processes.running[3].kill()
        processes.running[3].wait()
        assert set(processes.who_answers()) == names(1, 2)
        for connection in owners["command-api-1"] + owners["command-api-2"]:
            connection.sendall(request(target="/"))
            assert read(connection).status == 200
    finally:
        for connection in opened:
            connection.close()

    # stopped in good order, and started again by the one that is left: no connection is refused meanwhile
    processes.running[1].send_signal(signal.SIGTERM)
    while processes.running[1].poll() is None:
        assert processes.who_answers(5)
    assert set(processes.who_answers()) == names(2)
    processes.start(1)
    until(lambda: set(processes.who_answers(8)) == names(1, 2))


def test_no_process_of_another_home_gets_into_the_port_and_none_of_this_one_waits_for_frozen_ones_for_ever(
    processes: Processes,
) -> None:
    processes.start(1)
    until(lambda: processes.ready(1))
    other = Stack(processes.folder / "other", ORDERDECK_COMMAND_API_COUNT="3")
    other.settings |= {"ORDERDECK_COMMAND_PORT": str(processes.port)}
    stranger = processes.start(2, stack=other)
    assert stranger.wait(timeout=20) == 78
    assert f"port {processes.port} is taken (by " in processes.log(2)
    assert "set ORDERDECK_COMMAND_PORT to another" in processes.log(2)
    assert set(processes.who_answers(5)) == names(1)

    psutil.Process(processes.running[1].pid).suspend()
    alone = processes.start(3)  # nobody hands it the socket, and the port is taken: it ends, to be started again
    assert alone.wait(timeout=20) == 78
    assert "command-api-1 has the port and does not answer: port" in processes.log(3)
    psutil.Process(processes.running[1].pid).resume()
    processes.start(3)
    until(lambda: processes.ready(3))
    until(lambda: set(processes.who_answers()) == names(1, 3))
    assert not list(Home(other.home.path).run.glob("*.port"))


def test_while_no_process_is_ready_callers_are_told_why(processes: Processes) -> None:
    for number in (1, 2):
        (processes.folder / f"command-api-{number} waits").touch()
        processes.start(number)
    until(lambda: _refused(processes, "starting"))
    answer: Any = send(processes.port, request(target="/"))
    assert (answer.status, answer.code) == (503, "unavailable")


def _refused(processes: Processes, reason: str) -> bool:
    try:
        answer = send(processes.port, request(target="/ready"))
    except OSError:
        return False
    return answer.status == 503 and json.loads(answer.rest)["reason"] == reason


def test_a_port_that_another_program_has_is_refused_with_the_setting_that_it_follows_from(processes: Processes) -> None:
    with socket.create_server(("127.0.0.1", processes.port + 200)):
        assert processes.start(2).wait(timeout=20) == 78
    assert f"port {processes.port + 200} is taken (by " in processes.log(2)
    assert f"set ORDERDECK_COMMAND_PORT={processes.port}, from which it follows, to another" in processes.log(2)
