"""Lets supervisord start daemons as forks of itself, which has loaded their modules once: ADR 50.

A fork needs a tenth of the CPU of a program that loads everything anew, and shares what it does not change.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from daemons.process.program_list import PROGRAMS
from daemons.process.quick_imports import quick_imports

# What each program consists of. What is behind gRPC starts threads, which a fork has not.
PARTS = {
    "payment-sandbox": "daemons.payment_sandbox.open_app",
    "command-api": "daemons.command_api.app",
    "query-api": "daemons.query_api.app",
    "projector": "daemons.projector.work",
    "saga-runner": "daemons.saga_runner.work",
    "relay": "daemons.relay.leader",
    "notifier": "daemons.notifier.lead",
}
FORKED = {program.module for program in PROGRAMS if program.name in {"postgres", *PARTS}}
FOR_ALL = ("daemons.process.runtime", "litestar.plugins.pydantic")  # the framework loads that one for each application
OWN_METRICS = "daemons.host.own_metrics"  # loaded with the rest, since PostgreSQL is started first
ARGUMENTS_FROM, ARGUMENTS_TO = 47, 48  # fields of /proc/self/stat, counted from 0: where the command line is in memory

_loaded: dict[str, int] = {}  # each file that was loaded, with the time of its last change, in ns


def fork_programs(options: Any) -> None:
    """Let the supervisord with these options start daemons so. Whatever else it starts, it starts as always."""
    if sys.platform != "linux":  # elsewhere a system's own libraries may not bear to be forked
        return
    fork: Callable[[], int] = options.fork
    execve: Callable[[str, Sequence[str], Mapping[str, str]], object] = options.execve
    begun = False

    def load_and_fork() -> int:
        nonlocal begun
        if begun:  # the first program is PostgreSQL, which starts meanwhile
            load({group.name for group in options.process_group_configs})
        begun = True
        return fork()

    def become_or_execve(filename: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        match argv:
            case [sys.executable, "-m", module, *arguments] if module in FORKED and is_as_loaded(env):
                _become(module, arguments, env)
            case _:
                pass
        execve(filename, argv, env)

    options.fork, options.execve = load_and_fork, become_or_execve


def load(programs: Collection[str]) -> None:
    """Load once what these programs consist of. What cannot be loaded is left to the program, which says why."""
    parts = [part for program, part in PARTS.items() if program in programs]
    if _loaded or not parts:
        return
    with quick_imports():
        for name in (*FOR_ALL, *parts):
            with contextlib.suppress(Exception):
                import_module(name)
    for file in filter(None, (getattr(module, "__file__", None) for module in list(sys.modules.values()))):
        with contextlib.suppress(OSError):
            _loaded[file] = Path(file).stat().st_mtime_ns
    import_module(OWN_METRICS).find_metrics()


def is_as_loaded(env: Mapping[str, str]) -> bool:
    """Whether a program that loads everything anew gets the same: no file has changed, and no variable of Python."""
    if any(env.get(name) != os.environ.get(name) for name in {*env, *os.environ} if name.startswith("PYTHON")):
        return False
    try:
        return bool(_loaded) and all(Path(file).stat().st_mtime_ns == changed for file, changed in _loaded.items())
    except OSError:
        return False


def _become(module: str, arguments: Sequence[str], env: Mapping[str, str]) -> None:
    """Be this program in this fork, and end as it ends."""
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
    import_module(OWN_METRICS).forget_metrics_of_others(module)
    with contextlib.suppress(OSError):  # there may be no /proc
        _show([sys.executable, "-m", module, *arguments])
    os._exit(exit_code_of(lambda: import_module(f"{module}.__main__").main()))


def _show(command: Sequence[str]) -> None:
    """Let /proc show this command line, in place of that of supervisord, which is longer."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    begin, end = (int(fields[place - 2]) for place in (ARGUMENTS_FROM, ARGUMENTS_TO))
    text = b"\0".join(map(os.fsencode, command))
    ctypes.memmove(begin, text[: end - begin - 1].ljust(end - begin, b"\0"), end - begin)


def exit_code_of(run: Callable[[], object]) -> int:
    """Run a program's main function, and return the exit code with which Python would end after it."""
    code: object = 0
    try:
        run()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001 - what Python does with it at the end of a program
        traceback.print_exc()
        code = 1
    if not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code
