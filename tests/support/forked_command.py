"""Runs the orderdeck command in forks of one process that has loaded it, since to load it takes 0.4 s of CPU each time.

Each fork has its own arguments, environment, folder and outputs, as a command has that a shell starts.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from daemons.host.forked_programs import exit_code_of

ROOT = Path(__file__).parents[2]
LOADED = ("daemons.cli.main", "daemons.cli.doctor", "daemons.host.stack", "daemons.host.status")
SERVER = "from tests.support.forked_command import serve; serve()"

_idle: list[subprocess.Popen[str]] = []


def run_forked(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path, *, limit: int, onto: str = "stdout"
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; one that takes longer than `limit` seconds is killed. `onto` may be a device."""
    server = _idle.pop() if _idle else _start()  # commands of several threads run at the same time
    with tempfile.TemporaryDirectory(prefix="od-cmd-") as folder:
        assert server.stdin is not None
        assert server.stdout is not None
        asked = {"arguments": arguments, "env": dict(env), "cwd": str(cwd), "folder": folder, "limit": limit}
        asked["onto"] = onto
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        _idle.append(server)
        files = [Path(folder) / name for name in (onto, "stderr")]
        stdout, stderr = (file.read_text(encoding="utf-8") if file.is_file() else "" for file in files)
        return subprocess.CompletedProcess(arguments, code, stdout, stderr)


def _start() -> subprocess.Popen[str]:
    """It ends when its stdin is closed, which happens at the latest when this process has ended."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    atexit.register(server.communicate)
    return server


def serve() -> None:
    """Run in a fork what each line of stdin asks for, and answer with its exit code."""
    for name in LOADED:
        import_module(name)
    freeze()
    for line in sys.stdin:
        fork = os.fork()
        if fork == 0:
            _become(json.loads(line))
        _, status = os.waitpid(fork, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def freeze() -> None:
    """Let no fork's garbage collection look at what is loaded, since to look at an object copies its page of memory."""
    gc.collect()
    gc.freeze()


def _become(asked: dict[str, Any]) -> None:
    """Be the command that is asked for, and end as it ends."""
    signal.alarm(asked["limit"])
    folder = Path(asked["folder"])
    for number, path in enumerate((Path(os.devnull), folder / asked["onto"], folder / "stderr")):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    sys.argv = ["orderdeck", *asked["arguments"]]
    os._exit(exit_code_of(_main))


def _main() -> None:
    from daemons.cli.main import main  # noqa: PLC0415 - a test process that only asks need not load it

    main()
