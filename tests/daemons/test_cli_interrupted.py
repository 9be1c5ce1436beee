"""Ctrl-C ends every command with one line and exit code 130, wherever the command is at that moment."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from core.home import Home
from tests.support.hostile_service import answer

START = "from daemons.cli.start import main; main()"


@pytest.mark.parametrize("words", [("ctl", "status"), ("orders",)])
def test_a_command_that_waits_for_an_answer_ends_with_one_line(
    tmp_path_factory: pytest.TempPathFactory, words: tuple[str, ...]
) -> None:
    home = Home(tmp_path_factory.mktemp("home"))
    home.run.mkdir()
    with socket.socket(socket.AF_UNIX) as supervisor, socket.create_server(("127.0.0.1", 0)) as service:
        supervisor.bind(str(home.supervisor_socket))
        supervisor.listen()
        port = service.getsockname()[1]
        env = os.environ | {"ORDERDECK_HOME": str(home.path), "ORDERDECK_QUERY_URL": f"http://127.0.0.1:{port}"}
        with subprocess.Popen([sys.executable, "-c", START, *words], env=env, stderr=subprocess.PIPE, text=True) as run:
            asked = supervisor if words[0] == "ctl" else service
            asked.settimeout(30)
            with asked.accept()[0]:
                run.send_signal(signal.SIGINT)
                _, said = run.communicate(timeout=30)
    assert (run.returncode, said) == (130, "orderdeck: interrupted\n")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_retry_of_all_that_is_interrupted_has_printed_the_results_so_far(
    tmp_path_factory: pytest.TempPathFactory, form: tuple[str, ...]
) -> None:
    result = {"id": "first", "event_type": "OrderCreated", "position": 7, "state": "done", "error": ""}
    tried = {"results": [result], "done": 1, "failing": 0, "waiting": 0, "fitting": 300}
    words = ("deadletters", "retry", "--all", "--reason", "mended", *form)
    with socket.create_server(("127.0.0.1", 0)) as service:
        service.settimeout(30)
        url = f"http://127.0.0.1:{service.getsockname()[1]}"
        env = os.environ | {"ORDERDECK_HOME": str(tmp_path_factory.mktemp("home")), "ORDERDECK_COMMAND_URL": url}
        ran = [sys.executable, "-c", START, *words]
        with subprocess.Popen(ran, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            with _posted(service) as first:
                first.sendall(answer(tried, Connection="close"))
            with _posted(service):
                run.send_signal(signal.SIGINT)
                shown, said = run.communicate(timeout=30)
    assert (run.returncode, said) == (130, "299 to go\norderdeck: interrupted\n")
    assert (json.loads(shown) == tried) if form else (shown == "first  OrderCreated at position 7: done\n")


def _posted(service: socket.socket) -> socket.socket:
    """The connection of the next command; who asks before it whether the service is well, is told so."""
    while True:
        connection, _ = service.accept()
        if connection.recv(65536).startswith(b"POST"):
            return connection
        with connection:
            connection.sendall(answer({"status": "healthy"}, Connection="close"))
