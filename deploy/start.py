"""The container's command: supervisord in the foreground, with as many of each daemon as the settings say."""

# ruff: noqa: INP001 - a script, not a package
from __future__ import annotations

import os
import sys

from core.errors import ConfigurationError
from core.home import Home
from core.settings import load_settings
from daemons.host import leftovers
from daemons.host.supervisor import Supervisor, environment
from daemons.process import exits
from daemons.process.process_counts import write_counts
from daemons.process.program_list import counts_in, ports_of


def main() -> None:
    try:
        settings = load_settings()
        home, counts = Home(settings.home), counts_in(settings)
        home.create()
        ports_of(settings, counts)
    except ConfigurationError as error:
        sys.stderr.write(f"orderdeck: {error}\n")
        sys.exit(exits.CONFIGURATION)
    leftovers.remove_stale_files(home)  # of a container before this one, whose processes have ended with it
    home.create()
    Supervisor(home).write_conf(counts)
    write_counts(home, os.getpid(), counts)
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(home.supervisord_conf)]
    os.execve(sys.executable, command, environment(settings))  # noqa: S606 - our own interpreter and configuration


if __name__ == "__main__":
    main()
