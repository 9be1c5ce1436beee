"""What orderdeck adds to supervisord: other numbers of processes without a restart of those that go on, and haste.

supervisord by itself can only stop all processes of a program, forget them, and start them anew. And it looks once a
second whether a process has ended.
"""

from __future__ import annotations

import signal
import socket
from typing import Any, cast

from supervisor.medusa import asyncore_25 as asyncore
from supervisor.process import ProcessStates
from supervisor.rpcinterface import Faults, RPCError

from daemons.host.forked_programs import fork_programs

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


class SignalAlarm:
    """Wakes supervisord at each signal, and so when a process has ended; and once now, to start its programs.

    It has the methods that supervisord's loop calls of all that it waits for.
    """

    def __init__(self) -> None:
        self._woken, self._wakes = socket.socketpair()
        for end in (self._woken, self._wakes):
            end.setblocking(False)  # noqa: FBT003 - its only argument
        waits_for: dict[int, Any] = cast("Any", asyncore).socket_map
        for number, older in list(waits_for.items()):
            if isinstance(older, SignalAlarm):
                del waits_for[number]
                older.forget()
        waits_for[self._woken.fileno()] = self
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        self._wakes.send(b"!")

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        self._woken.recv(4096)

    def handle_error(self) -> None:
        """Go on: there was nothing to read."""

    def forget(self) -> None:
        """Leave the sockets alone, which supervisord has closed by their numbers when it was told to reload."""
        self._woken.detach()
        self._wakes.detach()


def make_interface(supervisord: Any) -> ProcessNumbers:
    SignalAlarm()
    fork_programs(supervisord.options)
    return ProcessNumbers(supervisord)
