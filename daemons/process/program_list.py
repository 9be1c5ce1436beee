"""The list of the supervised programs, their processes, and which setting holds the port and the number of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import ConfigurationError
from core.settings import Settings, env_names

APART = 100  # between the own ports of two processes of one program
HIGHEST_PORT = 65_535
_NUMBERED = re.compile(r"(?P<program>[a-z-]+)-(?P<number>[1-9][0-9]*)")


@dataclass(frozen=True)
class Program:
    """A supervised program.

    `port` names the setting of the port on which it answers /ready, or is None. `count` names the setting of how many
    processes of it run; without one there is always one. `one_port`: several of them also answer together on that port.
    `needs` names the setting without which there is nothing to do for it: then it ends at once with 0. `also` names the
    setting of a second port, on which it does its work.
    """

    name: str
    port: str | None
    count: str | None = None
    one_port: bool = False
    needs: str | None = None
    also: str | None = None

    def needed(self, settings: Settings) -> bool:
        return self.needs is None or bool(getattr(settings, self.needs))

    def setting_of(self, port: int, settings: Settings) -> str:
        """The setting from which this port of it follows."""
        return self.also if self.also and getattr(settings, self.also) == port else self.port or ""

    @property
    def module(self) -> str:
        return "daemons." + self.name.replace("-", "_")


@dataclass(frozen=True)
class ProgramProcess:
    """One process of a program: its only one, or number 1, 2, 3 … of several."""

    program: Program
    number: int | None = None

    @property
    def name(self) -> str:
        return self.program.name if self.number is None else f"{self.program.name}-{self.number}"

    def port(self, settings: Settings) -> int | None:
        """The port on which this process alone answers; None if it has no port. Raises ConfigurationError."""
        field = self.program.port
        if field is None:
            return None
        port = int(getattr(settings, field)) + APART * (self.number or 0)
        if port > HIGHEST_PORT:
            raise ConfigurationError(
                f"{env_names(field)[0]} leaves no port for {self.name}, which would have {port}: set it to a lower one"
            )
        return port


# In the order of their start. No start waits for another: a daemon is not ready until the programs it needs are there.
PROGRAMS = (
    Program("postgres", None),
    Program("payment-sandbox", "payment_port"),
    Program("command-api", "command_port", "command_api_count", one_port=True),
    Program("query-api", "query_port", "query_api_count", one_port=True),
    Program("projector", "projector_port", "projector_count"),
    Program("saga-runner", "saga_runner_port", "saga_runner_count"),
    Program("relay", "relay_port", "relay_count", needs="kafka_brokers"),
    Program("notifier", "notifier_port", "notifier_count", needs="notifier"),
    Program("grpc-api", "grpc_api_port", needs="grpc", also="grpc_port"),
)

Counts = Mapping[str, int]
"""How many processes of a program run, by the program's name."""


def counts_in(settings: Settings) -> Counts:
    return {
        program.name: (getattr(settings, program.count) if program.count else 1) if program.needed(settings) else 0
        for program in PROGRAMS
        if program.count or program.needs
    }


def all_processes(counts: Counts) -> list[ProgramProcess]:
    """Every process that runs with these counts, in the order of their start."""
    return [process for program in PROGRAMS for process in processes_of_program(program, counts.get(program.name, 1))]


def processes_of_program(program: Program, count: int) -> list[ProgramProcess]:
    return (
        [ProgramProcess(program)] if count == 1 else [ProgramProcess(program, number) for number in range(1, count + 1)]
    )


def process_named(name: str) -> ProgramProcess | None:
    """The process of this name, whether or not one runs; None when no program has such processes."""
    programs = {program.name: program for program in PROGRAMS}
    if name in programs:
        return ProgramProcess(programs[name])
    numbered = _NUMBERED.fullmatch(name)
    program = programs.get(numbered["program"]) if numbered else None
    if numbered is None or program is None or program.count is None or len(numbered["number"]) > 4:
        return None
    return ProgramProcess(program, int(numbered["number"]))


def ports_of(settings: Settings, counts: Counts) -> dict[int, Program]:
    """The program that listens on each port, alone or with the processes of it together.

    Raises ConfigurationError when two programs would have the same port, or a process a port that there is not.
    """
    ports: dict[int, Program] = {}
    for process in all_processes(counts):
        program, own = process.program, process.port(settings)
        if own is None:
            continue
        shared = {getattr(settings, program.port or "")} if program.one_port else set[int]()
        if program.also:
            shared.add(getattr(settings, program.also))
        for port in {own} | shared:
            other = ports.setdefault(port, program)
            if other != program:
                raise ConfigurationError(
                    f"{program.name} and {other.name} would both listen on port {port}: "
                    f"set {env_names(program.setting_of(port, settings))[0]} or "
                    f"{env_names(other.setting_of(port, settings))[0]} to another"
                )
    return ports
