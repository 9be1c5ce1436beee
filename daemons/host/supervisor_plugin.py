"""What orderdeck adds to supervisord's interface: other numbers of processes without a restart of those that go on.

supervisord by itself can only stop all processes of a program, forget them, and start them anew.
"""

from __future__ import annotations

from typing import Any

from supervisor.process import ProcessStates
from supervisor.rpcinterface import Faults, RPCError

STOPPED = {ProcessStates.STOPPED, ProcessStates.EXITED, ProcessStates.FATAL, ProcessStates.UNKNOWN}


class ProcessNumbers:
    """The calls `orderdeck.…`; `supervisord` is the running one, in whose process this is."""

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord

    def readAgain(self) -> bool:  # noqa: N802 - the style of supervisord's calls
        """Read the configuration again, start processes that it has more, and forget stopped ones that it has no more.

        Every other process goes on as it is. Refused while one runs that the configuration no longer has.
        """
        try:
            self._supervisord.options.process_config(do_usage=False)
        except ValueError as error:
            raise RPCError(Faults.CANT_REREAD, str(error)) from None
        wanted = {config.name: config for config in self._supervisord.options.process_group_configs}
        groups = {name: group for name, group in self._supervisord.process_groups.items() if name in wanted}
        for name, group in groups.items():
            kept = {config.name for config in wanted[name].process_configs}
            for gone in [process for process in group.processes.values() if process.config.name not in kept]:
                if gone.get_state() not in STOPPED:
                    raise RPCError(Faults.STILL_RUNNING, gone.config.name)
        for name, group in groups.items():
            config = wanted[name]
            config.after_setuid()
            running = group.processes
            group.config = config
            group.processes = {c.name: running.get(c.name) or c.make_process(group) for c in config.process_configs}
        for name, config in wanted.items():
            if name not in groups:
                self._supervisord.add_process_group(config)
        return True


def make_interface(supervisord: Any) -> ProcessNumbers:
    return ProcessNumbers(supervisord)
