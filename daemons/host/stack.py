"""Starts the whole stack of one home and says why it is not ready; stops all of its processes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Generator, Mapping

import psutil

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.errors import ConfigurationError, DatabaseFault, Unavailable
from core.home import Home, unprivileged_user
from core.settings import Settings, env_names, load_settings
from daemons.host import leftovers
from daemons.host.home_lock import locked
from daemons.host.other_ports import move_to_other_ports
from daemons.host.status import ProgramStatus, all_ready, stack_status, urls
from daemons.host.supervisor import ProgramState, Supervisor, environment
from daemons.host.supervisor_socket import SupervisorSilent
from daemons.process import exits
from daemons.process.listening import must_be_free
from daemons.process.process_counts import write_counts
from daemons.process.program_list import PROGRAMS, all_processes, counts_in, ports_of
from daemons.process.tls import read_tls

UP_LIMIT = 60  # seconds until every daemon is ready; a first start or a recovery takes long on a slow disk
CRASH_LIMIT = 15  # seconds after which a program that still crashes at its start is given up
DOWN_LIMIT = 45  # seconds until everything has stopped; supervisord gives each program 30
LATE = 1.5  # seconds after which `down` says what it waits for
LOOK_EVERY = 0.02  # seconds between two looks whether supervisord has ended, or whether all daemons are ready
LOG_LINES = 15


class NotReady(Unavailable):
    """The stack did not become ready; the text names each program that is not, why, and the end of its log."""


def up(settings: Settings, *, moved: Callable[[str], None] | None = None) -> Mapping[str, str]:
    """Start every program that does not run, wait until all are ready, and return the addresses of the services.

    Raises ConfigurationError, NotReady, or SupervisorSilent when this home's supervisord is frozen.

    With `moved`, which is given a sentence about each, ports that are taken and that no setting names are replaced.
    """
    home = Home(settings.home)
    home.create()
    with locked(home):
        if moved is not None:
            settings = load_settings()  # another that was just done here may have written .env
        supervisor, counts = Supervisor(home), counts_in(settings)
        ports_of(settings, counts)
        read_tls(settings)
        if supervisor.runs():  # one that is frozen is not replaced: its programs are there, and may be taking orders
            _same_settings(supervisor, settings)
            _change_counts(supervisor, settings)
            supervisor.start_stopped()
        else:
            leftovers.end(leftovers.processes_of(home))
            leftovers.remove_stale_files(home)
            home.create()
            if (user := unprivileged_user()) is not None:
                home.hand_over(user)
            if moved is not None:
                settings, sentences = move_to_other_ports(settings, counts)
                for sentence in sentences:
                    moved(sentence)
            ports = ports_of(settings, counts)
            must_be_free(settings, {port: program.setting_of(port, settings) for port, program in ports.items()})
            if settings.database_url is not None:
                from core.bootstrap import check_owner  # noqa: PLC0415 - as below

                with contextlib.suppress(Unavailable, DatabaseFault):  # the programs wait for it, and say so
                    asyncio.run(check_owner(settings))
            supervisor.start(settings)
            write_counts(home, supervisor.pid(), counts)
    from core.bootstrap import load_samples  # noqa: PLC0415 - while the daemons start, and not before

    _wait_until_ready(settings)
    asyncio.run(load_samples(settings))
    return urls(settings)


def runs(settings: Settings) -> bool:
    """Whether the supervisord of this home runs, maybe frozen."""
    try:
        return Supervisor(Home(settings.home)).runs()
    except SupervisorSilent:
        return True


def down(settings: Settings, *, late: Callable[[str], None]) -> bool:
    """Stop every process of this home; return False when none ran. `late` is told what takes longer than LATE."""
    home = Home(settings.home)
    if not home.path.exists():
        return False
    with locked(home):
        stopped = False
        with contextlib.suppress(Unavailable, psutil.NoSuchProcess):
            _stop(home, late)
            stopped = True
        left = leftovers.processes_of(home)
        leftovers.end(left)
        leftovers.remove_stale_files(home)
        return stopped or bool(left)


@contextlib.contextmanager
def database(settings: Settings) -> Generator[bool]:
    """Keep the home's database running within the block; yields True when it had to be started for this."""
    home = Home(settings.home)
    if settings.database_url is not None or Supervisor(home).runs():
        yield False
        return
    server = EmbeddedPostgres(home.path)
    if not (server.data / "PG_VERSION").exists():
        raise ConfigurationError(f"there is no log in {home.path}: `orderdeck up` makes one")
    with locked(home):
        if server.running_pid() is not None:  # somebody started it by hand, or its supervisord was killed
            yield False
            return
        try:
            with (home.logs / "postgres.log").open("ab") as log:
                server.start(log)
            yield True
        finally:
            server.stop()


def forget(settings: Settings) -> None:
    """Remove the data of a home that is down: the embedded database and the ledger of its payment sandbox."""
    if settings.database_url is not None:
        raise ConfigurationError("DATABASE_URL is set, and orderdeck drops no database that it did not make")
    home = Home(settings.home)
    shutil.rmtree(home.system_place if home.moved else home.postgres, ignore_errors=True)
    for ledger in home.ledger.parent.glob(f"{home.ledger.name}*"):
        ledger.unlink()


def _stop(home: Home, late: Callable[[str], None]) -> None:
    """Stop the daemons, then supervisord with the database: daemons need it to finish what they are doing.

    Those that take longer than LATE may be frozen, so they are told to go on, and then heed that they are to stop.
    """
    supervisor = Supervisor(home)
    supervisord = psutil.Process(supervisor.pid())
    daemons = [program for program in supervisor.programs() if program.name != "postgres" and program.pid]
    processes = [psutil.Process(program.pid) for program in daemons]
    supervisor.stop([program.name for program in daemons])
    _, alive = psutil.wait_procs(processes, timeout=LATE)
    if alive:
        names = [program.name for program, process in zip(daemons, processes, strict=True) if process in alive]
        late(f"waits for {', '.join(names)}; what has not ended 30 s after it was told to is killed")
        leftovers.wake(leftovers.processes_of(home))
        psutil.wait_procs(alive, timeout=DOWN_LIMIT)
    supervisor.shutdown()
    began, waits = time.monotonic(), False
    while _runs(supervisord) and time.monotonic() < began + DOWN_LIMIT:
        if not waits and time.monotonic() > began + LATE:
            waits = True
            late("waits for supervisord and what it still runs; what has not ended 30 s after it was told to is killed")
            leftovers.wake(leftovers.processes_of(home))
        supervisor.answers()  # without our plugin it goes on with the next program when it is asked, else once a second
        time.sleep(LOOK_EVERY)


def _runs(process: psutil.Process) -> bool:
    """Whether it has not ended. Whoever has inherited it from us may take seconds to notice that it has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _change_counts(supervisor: Supervisor, settings: Settings) -> None:
    """Start and stop processes until there are as many as the settings say; raises ConfigurationError.

    A supervisord that somebody started by hand goes on with the numbers in his file.
    """
    counts = counts_in(settings)
    running, wanted = {each.name for each in supervisor.programs()}, {each.name for each in all_processes(counts)}
    if running == wanted or "ORDERDECK_HOME" not in _environment(supervisor):
        return
    fields: dict[int, str] = {}
    for process in all_processes(counts):
        field, port = process.program.port or "", process.port(settings)
        if port is not None and process.name not in running and port != getattr(settings, field):
            fields[port] = field
    must_be_free(settings, fields)
    write_counts(Home(settings.home), supervisor.pid(), counts)  # a process looks there for its number when it starts
    supervisor.change_counts(counts)


def _environment(supervisor: Supervisor) -> Mapping[str, str]:
    try:
        return psutil.Process(supervisor.pid()).environ()
    except psutil.Error:
        return {}


def _same_settings(supervisor: Supervisor, settings: Settings) -> None:
    """Raise ConfigurationError when the running stack has other settings than these: `up` would ignore ours."""
    running, ours = _environment(supervisor), environment(settings)
    if "ORDERDECK_HOME" not in running:
        return
    counts = {program.count for program in PROGRAMS}
    names = [env_names(field)[0] for field in Settings.model_fields if field not in counts]
    if differ := [name for name in names if running.get(name) != ours.get(name)]:
        raise ConfigurationError(
            f"orderdeck already runs here with another {', '.join(differ)}: `orderdeck down` first to change "
            f"{'it' if len(differ) == 1 else 'them'}"
        )


def _wait_until_ready(settings: Settings) -> None:
    began = time.monotonic()
    supervisor = Supervisor(Home(settings.home))
    ready: set[int] = set()
    while True:
        programs = supervisor.programs()
        if all_ready(settings, programs, ready):
            return
        waited = time.monotonic() - began
        if waited > UP_LIMIT or any(_cannot_start(program, waited) for program in programs):
            late = [program for program in stack_status(settings).programs if not program.ready]
            raise NotReady("\n".join(_explain(program, settings) for program in late))
        time.sleep(LOOK_EVERY)


def _cannot_start(program: ProgramState, waited: float) -> bool:
    return program.exit_code == exits.CONFIGURATION or (program.state == "BACKOFF" and waited > CRASH_LIMIT)


def _explain(program: ProgramStatus, settings: Settings) -> str:
    log = Home(settings.home).logs / f"{program.name}.log"
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    head = [f"{program.name} is not ready: {program.reason} ({program.state})", f"  {log}"]
    return "\n".join(head + [f"  | {line}" for line in list(dict.fromkeys(lines))[-LOG_LINES:]])
