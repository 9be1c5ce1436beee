"""How many processes of each program run now: what the last `up` wrote down, or else what the settings say.

An `up` with other counts starts and stops only what changes. Processes that go on have the settings of their own start,
so what they must know of the others they read from the file that `up` writes.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from core.errors import ConfigurationError
from core.folders import give
from core.home import Home, unprivileged_user
from core.settings import Settings, env_names, reachable
from daemons.process.program_list import PROGRAMS, Counts, ProgramProcess, counts_in, processes_of_program

MOST = 64


class _Written(Struct):
    """`supervisord` is the pid of the one whose processes these are: the file may be older than it."""

    supervisord: int
    counts: dict[str, Annotated[int, Meta(ge=0, le=MOST)]]


def write_counts(home: Home, supervisord: int, counts: Counts) -> None:
    new = home.counts.with_name(f"{home.counts.name}.new")
    new.write_bytes(msgspec.json.encode(_Written(supervisord, dict(counts))))
    if (user := unprivileged_user()) is not None:
        give(new, user)
    new.replace(home.counts)


def current_counts(settings: Settings) -> Counts:
    """How many processes of each program run, as a process knows it that supervisord has started."""
    counts = dict(counts_in(settings))
    try:
        written = msgspec.json.decode(Home(settings.home).counts.read_bytes(), type=_Written)
    except (OSError, msgspec.DecodeError):
        return counts
    if written.supervisord == os.getppid():
        counts |= {name: count for name, count in written.counts.items() if name in counts}
    return counts


def places_of_others(settings: Settings, program: str, number: int) -> list[tuple[str, int]]:
    """Host and own port of every other process of this program."""
    ours = next(each for each in PROGRAMS if each.name == program)
    processes = processes_of_program(ours, current_counts(settings)[program])
    ports = [process.port(settings) for process in processes if process.number != number]
    return [(reachable(settings.host), port) for port in ports if port is not None]


def this_process(name: str, settings: Settings) -> ProgramProcess:
    """Which process of the program this is, by the number with which it was started; raises ConfigurationError."""
    program = next(program for program in PROGRAMS if program.name == name)
    number = int(sys.argv[1]) if len(sys.argv) == 2 and sys.argv[1].isdecimal() else None
    if program.count is None:
        return ProgramProcess(program)
    count, setting = current_counts(settings)[name], env_names(program.count)[0]
    if number is None and count > 1:
        raise ConfigurationError(
            f"{setting} is {count}, so this process needs a number: `orderdeck daemon {name}-1`, or in "
            f"supervisord.conf numprocs={count} and %(process_num)d at the end of the command"
        )
    if number is not None and not (1 <= number <= count and count > 1):
        raise ConfigurationError(
            f"this is process {number} of {name}, and {setting} is {count}: set it to how many run"
        )
    return ProgramProcess(program, number)
