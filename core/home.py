"""The home of one orderdeck: the paths of its files, folders and sockets, the same for every process."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import pwd
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from core.errors import ConfigurationError
from core.folders import give, make_folder, remove_links
from core.settings import Settings

DATABASE = "orderdeck"
OWNER = "orderdeck_owner"
LEDGER = "payment-sandbox.sqlite"
DAEMONS = "orderdeck_app"
"""The users of the embedded server: who owns the tables, and as whom the daemons log in."""
SYSTEM_PLACE = Path("/var/lib/orderdeck")
SYSTEM_RUN = Path("/var/run/orderdeck" if sys.platform == "darwin" else "/run/orderdeck")
# A socket's path may have 107 bytes, 103 on macOS; supervisord first binds `<name>.<pid>`.
LONGEST_SOCKET_PATH = 92


@dataclass(frozen=True)
class Home:
    """The paths. Nothing exists on the disk before `create`."""

    path: Path

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def run(self) -> Path:
        """Sockets and pid files: in the home, or in a short private folder when their paths would be too long."""
        return self._short(self.path / "run")

    @property
    def supervisord_conf(self) -> Path:
        return self.run / "supervisord.conf"

    @property
    def supervisord_confs(self) -> set[Path]:
        """Every configuration that a supervisord of this home may run: ours, an older release's, and the checkout's."""
        older = Path(f"/tmp/orderdeck-{os.geteuid()}-{_hash_of(self.path)}/supervisord.conf")  # noqa: S108 - only compared
        confs = {self.supervisord_conf, older}
        return confs | ({self.path.parent / "supervisord.conf"} if self.path.name == ".orderdeck" else set())

    @property
    def supervisord_pid(self) -> Path:
        return self.run / "supervisord.pid"

    @property
    def supervisor_socket(self) -> Path:
        return self.run / "supervisor.sock"

    @property
    def lock(self) -> Path:
        """The file that `up` and `down` lock while they work, so that only one of them works at a time."""
        return self.path / "lock"

    @property
    def counts(self) -> Path:
        """The file in which `up` writes how many processes of each program run; daemons read it."""
        return self._place / "processes.json"

    @property
    def postgres(self) -> Path:
        """The folder of the embedded PostgreSQL, which belongs to the user that PostgreSQL runs as."""
        return self._place / "postgres"

    @property
    def written_by_daemons(self) -> Path:
        """The folder in which daemons write files: the one that root has made for their user, else the home."""
        return self._sandbox if self._sandbox.is_dir() else self.path

    @property
    def ledger(self) -> Path:
        """The file of the payment sandbox."""
        return self.written_by_daemons / LEDGER

    @property
    def postgres_sockets(self) -> Path:
        return self._short(self._place / "run") / "postgres"

    @property
    def moved(self) -> bool:
        """Whether the data lies outside of the home, because the user that PostgreSQL runs as cannot enter the home."""
        return self._place != self.path

    @property
    def system_place(self) -> Path:
        return SYSTEM_PLACE / _hash_of(self.path)

    def dsn(self, database: str = DATABASE, *, user: str = OWNER) -> str:
        """The address of the embedded server's socket, in the form that asyncpg accepts."""
        return f"postgresql://{user}@/{quote(database)}?host={quote(str(self.postgres_sockets), safe='')}&port=5432"

    def create(self) -> None:
        """Make the folders, closed to other users; raises ConfigurationError when the home cannot be written."""
        user = unprivileged_user()
        # The daemons' user may go through the home of root to its own folders, and see and change nothing else there.
        group = user.pw_gid if user and can_enter(user, self.path.parent) else None
        mode = 0o700 if group is None else 0o710
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            make_folder(self.path.resolve(), mode, group=group)
            if make_folder(self.logs, 0o700):
                remove_links(self.logs)
            if self.run.is_relative_to(SYSTEM_RUN):
                make_folder(SYSTEM_RUN, 0o755)  # only root can make it, so nobody has put something in its place
            if make_folder(self.run, 0o700 if user is None else 0o710, group=user.pw_gid if user else None):
                remove_links(self.run)
            for ledger in self.path.glob(LEDGER + "*"):
                ledger.chmod(0o600)  # a release before made it readable for others
            probe = self.path / f".writable-{os.getpid()}"
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            probe.unlink()
        except OSError as error:
            raise unwritable(self.path, error) from None

    def hand_over(self, user: pwd.struct_passwd) -> None:
        """As root, give the user of the daemons the folders that they write to, with what older releases put there."""
        self.create()
        if self.moved:
            self.make_system_place(user)
        make_folder(self._sandbox, 0o700, owner=user.pw_uid, group=user.pw_gid)
        older, ours = self.path / LEDGER, self._sandbox / LEDGER
        if ours.exists() and older.exists():  # an older release's is moved once; another one that came later is not it
            raise ConfigurationError(f"{older} and {ours} are both the payment sandbox's ledger: remove the wrong one")
        for end in ("-wal", "-shm", ""):  # the file itself last: while it is in the old place, nothing uses the new one
            old, new = older.with_name(LEDGER + end), ours.with_name(LEDGER + end)
            with contextlib.suppress(FileNotFoundError):  # the usual case, or another daemon was faster
                _move(old, new)
            with contextlib.suppress(FileNotFoundError):
                give(new, user)

    def make_system_place(self, user: pwd.struct_passwd) -> None:
        """As root, make the folder outside of the home that the user of the daemons may go through."""
        make_folder(SYSTEM_PLACE, 0o755)
        make_folder(self.system_place, 0o710, group=user.pw_gid)
        (self.system_place / "home").write_text(str(self.path), encoding="utf-8")  # for the doctor

    @property
    def _sandbox(self) -> Path:
        return self._place / "sandbox"

    @property
    def _place(self) -> Path:
        return _place_of(self.path)

    def _short(self, folder: Path) -> Path:
        longest = max(len(os.fsencode(folder / name)) for name in ("supervisor.sock", "postgres/.s.PGSQL.5432"))
        return folder if longest < LONGEST_SOCKET_PATH else _short_folder_of(self.path)


@cache
def _started_by() -> int:
    """The user who started this process; a daemon that gives up the rights of root must go on with the same paths."""
    return os.geteuid()


@cache
def _place_of(path: Path) -> Path:
    """Where the data of this home is; found once for each process, before it gives up the rights of root."""
    user, system_place = unprivileged_user(), SYSTEM_PLACE / _hash_of(path)
    if user is None or (can_enter(user, path) and not system_place.exists()):
        return path
    return system_place


def _short_folder_of(path: Path) -> Path:
    if _started_by() == 0:
        return SYSTEM_RUN / _hash_of(path)
    # /tmp and not $TMPDIR, because every process must compute the same path; `create` refuses it if it is not ours.
    return Path(f"/tmp/orderdeck-{_started_by()}-{_hash_of(path)}")  # noqa: S108 - as the comment says


def _hash_of(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _move(old: Path, new: Path) -> None:
    """Rename a file, or copy it when the new place is on another disk; the new file is whole or not there at all."""
    try:
        old.rename(new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = new.with_name(f"{new.name}.{os.getpid()}")
        shutil.copyfile(old, copy)
        copy.rename(new)
        old.unlink()


def unwritable(path: Path, error: OSError) -> ConfigurationError:
    reason = error.strerror or str(error)
    return ConfigurationError(f"cannot write {path} ({reason}): set ORDERDECK_HOME to a folder of your own")


def database_url(settings: Settings) -> str:
    """The address at which daemons log in to the database: the one in the settings, or else the embedded one."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return Home(settings.home).dsn(user=DAEMONS)


def owner_url(settings: Settings) -> str:
    """The address at which the owner of the tables logs in to the same database, to migrate and to verify it."""
    if settings.owner_url is not None:
        return settings.owner_url.get_secret_value()
    return database_url(settings) if settings.database_url is not None else Home(settings.home).dsn()


def unprivileged_user() -> pwd.struct_passwd | None:
    """The user that PostgreSQL and the daemons run as when root starts them; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("orderdeck", "postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigurationError(
        "PostgreSQL does not run as root, and there is no user postgres or nobody: run as another user"
    )


def can_enter(user: pwd.struct_passwd, path: Path) -> bool:
    """Whether the user may enter every folder on the way to `path`. Folders that do not exist yet are left out."""
    real = path.resolve()
    folders = {path, *path.parents, real, *real.parents}  # when a link is among them, both paths must be open
    return all(may_pass(user, folder) for folder in folders if folder.exists())


def may_pass(user: pwd.struct_passwd, folder: Path) -> bool:
    """Whether the rights of this folder itself let the user enter it, wherever it lies."""
    status = folder.stat()
    shift = 6 if status.st_uid == user.pw_uid else 3 if status.st_gid == user.pw_gid else 0
    return bool(status.st_mode >> shift & 0o1)
