"""Ctrl-C ends every command with one line and exit code 130, wherever the command is at that moment."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from core.home import Home

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
