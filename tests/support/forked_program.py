"""Lets the supervisord of a test's stack start daemons as forks of itself, since to load one takes 0.6 s of CPU.

Each fork looks like the process it stands for: `ps` and `orderdeck` find the same command line and the same variables.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from supervisor.options import ServerOptions

from tests.support.forked_command import exit_code_of
from tests.support.forked_daemon import LOADED

STARTED_BY_SUPERVISORD = {"SUPERVISOR_ENABLED": "1"}
ARGUMENTS_FROM, ARGUMENTS_TO = 47, 48  # fields of /proc/self/stat, counted from 0: where the command line is in memory


def fork_programs() -> None:
    """Called in supervisord before it starts anything. Whatever else it starts than a daemon, it starts as always."""
    if "SUPERVISOR_ENABLED" not in os.environ:  # the kernel tells of a fork the variables that its parent began with
        os.execve(sys.executable, sys.orig_argv, os.environ | STARTED_BY_SUPERVISORD)  # noqa: S606 - no shell is wanted
    for name in LOADED:
        import_module(name)
    options_of_all: Any = ServerOptions
    execve: Callable[..., object] = ServerOptions.execve

    def become(options: ServerOptions, filename: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        match argv:
            case [_, "-m", module, *more] if module.startswith("daemons."):
                _become(module, more, env)
            case _:
                execve(options, filename, argv, env)

    options_of_all.execve = become
    gc.collect()
    gc.freeze()


def _become(module: str, arguments: Sequence[str], env: Mapping[str, str]) -> None:
    """Be this daemon in this fork, and end as it ends."""
    signal.set_wakeup_fd(-1)  # that of supervisord is closed here, and its number may be another file's
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in enumerate(("stdout", "stderr"), 1):
        setattr(sys, name, os.fdopen(number, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False))
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [module, *arguments]
    _show(["python", "-m", *sys.argv])

    def run() -> None:
        program = import_module(module)  # and not run as __main__: its metrics are there once only
        (program if hasattr(program, "main") else import_module(f"{module}.__main__")).main()

    os._exit(exit_code_of(run))


def _show(command: Sequence[str]) -> None:
    """Let /proc show this command line, in place of that of the parent, which is longer."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    begin, end = (int(fields[place - 2]) for place in (ARGUMENTS_FROM, ARGUMENTS_TO))
    shown = " ".join(command).encode()
    text = shown.ljust(end - begin - 1, b"\0")[: end - begin - 1]
    ctypes.memmove(begin, text + b"\n", end - begin)  # one whose last byte is not 0 ends for the kernel at its first 0
