"""The container's health check: exit code 0 when every program in the container is ready, else 1 and one sentence.

Where supervisord runs, that is each program at the port that the settings give it. A container may also run one daemon
alone; then it is this daemon, which can be named as the argument.
"""

# ruff: noqa: INP001 - a script, not a package
from __future__ import annotations

import http.client
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from types import FrameType

import psutil

from core.errors import ConfigurationError
from core.printable import clean
from core.settings import Settings, load_settings, reachable
from daemons.host.bounded_http import BROKEN
from daemons.host.status import get_json, stack_status
from daemons.process.program_list import all_processes, counts_in, process_named
from daemons.process.vitals import service_of

WITHIN = 4.0  # seconds in which a daemon has to answer
LIMIT = 10  # seconds in which the whole check has to end; engines kill it some seconds later
LONGEST = 500  # characters of the sentence; engines keep the last answers of each container


def why_unhealthy(settings: Settings, names: Sequence[str]) -> str | None:
    """Why the named daemons, or else all that this container runs, are not all ready; None when they are."""
    status = None if names else stack_status(settings)
    if status is None or not status.running:
        names = names or _alone()
        if not names:
            return f"no daemon runs here, and no supervisord in {settings.home}"
        wrong = [f"{name}: {reason}" for name in names if (reason := _why_not_ready(settings, name)) is not None]
    else:
        wrong = [f"{each.name}: {each.reason}" for each in status.programs if not each.ready]
        asked = {process.name for process in all_processes(counts_in(settings))}
        wrong += [f"{name}: does not run" for name in sorted(asked - {each.name for each in status.programs})]
    return "; ".join(wrong) or None


def _alone() -> list[str]:
    """The daemons that are the first process of the container, or that its init has started."""
    first = psutil.Process(1)
    commands = [_command(process) for process in (first, *first.children())]
    modules = [after for command in commands for option, after in pairwise(command) if option == "-m"]
    return [name.removeprefix("daemons.").replace("_", "-") for name in modules if name.startswith("daemons.")]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended, and its parent has not asked how
        return []


def _why_not_ready(settings: Settings, name: str) -> str | None:
    process = process_named(name)
    port = process.port(settings) if process is not None else None
    if process is None or port is None:
        return "there is no daemon of this name that answers at a port"
    place = f"{reachable(settings.host)}:{port}"
    try:
        status, said = get_json(f"http://{place}/ready", within=WITHIN, show=settings.shows_home)
        if status == 401:  # the home has no key, since nothing can be written here: ask only whether it is ready
            status, _ = get_json(f"http://{place}/health?ready", within=WITHIN)
            return None if status == 200 else "is not ready; its log says why"
        if said["service"] != service_of(process.program.name):
            return f"at its port {place} answers another program"
        return None if status == 200 else str(said.get("reason", "it does not say why"))
    except BROKEN:
        return f"what answers at {place} is no daemon of orderdeck"
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer at {place} ({error or type(error).__name__})"


def main(names: Sequence[str]) -> int:
    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(LIMIT)
    try:
        wrong = why_unhealthy(load_settings(), names)
    except ConfigurationError as error:
        wrong = str(error)
    signal.alarm(0)
    if wrong is not None:
        sys.stdout.write(f"not healthy: {clean(wrong, LONGEST)}\n")  # engines show what a check has printed
    return 0 if wrong is None else 1


def _too_late(_number: int, _frame: FrameType | None) -> None:
    sys.stdout.write(f"not healthy: the check has not ended within {LIMIT} s\n")
    sys.stdout.flush()
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
