"""The home of one orderdeck: the paths of its files, folders and sockets, the same for every process."""

from __future__ import annotations

import hashlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from core.errors import ConfigurationError
from core.settings import Settings

DATABASE = "orderdeck"
OWNER = "orderdeck_owner"
DAEMONS = "orderdeck_app"
"""The users of the embedded server: who owns the tables, and as whom the daemons log in."""
SYSTEM_PLACE = Path("/var/lib/orderdeck")
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
        confs = {self.supervisord_conf, Path(f"/tmp/orderdeck-{os.geteuid()}-{self._hash}/supervisord.conf")}  # noqa: S108 - only compared
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
    def postgres(self) -> Path:
        """The folder of the embedded PostgreSQL, which belongs to the user that PostgreSQL runs as."""
        return self._place / "postgres"

    @property
    def postgres_sockets(self) -> Path:
        return self._short(self._place / "run") / "postgres"

    @property
    def moved(self) -> bool:
        """Whether the data lies outside of the home, because the user that PostgreSQL runs as cannot enter the home."""
        return self._place != self.path

    @property
    def system_place(self) -> Path:
        return SYSTEM_PLACE / self._hash

    def dsn(self, database: str = DATABASE, *, user: str = OWNER) -> str:
        """The address of the embedded server's socket, in the form that asyncpg accepts."""
        return f"postgresql://{user}@/{quote(database)}?host={quote(str(self.postgres_sockets), safe='')}&port=5432"

    def create(self) -> None:
        """Make the folders; raises ConfigurationError when the home cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o755)
            self.logs.mkdir(exist_ok=True, mode=0o700)
            self.run.mkdir(exist_ok=True, mode=0o711)
            if self.run.stat().st_uid != os.geteuid():
                raise ConfigurationError(
                    f"{self.run} belongs to someone else: remove it, or set another ORDERDECK_HOME"
                )
            probe = self.path / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise unwritable(self.path, error) from None

    @property
    def _hash(self) -> str:
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]

    @property
    def _place(self) -> Path:
        user = unprivileged_user()
        if user is None or (can_enter(user, self.path) and not self.system_place.exists()):
            return self.path
        return self.system_place

    def _short(self, folder: Path) -> Path:
        longest = max(len(os.fsencode(folder / name)) for name in ("supervisor.sock", "postgres/.s.PGSQL.5432"))
        # /tmp and not $TMPDIR, because every process must compute the same path.
        return folder if longest < LONGEST_SOCKET_PATH else Path(f"/tmp/orderdeck-{os.geteuid()}-{self._hash}")  # noqa: S108 - `create` checks its owner


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
    """The user that PostgreSQL runs as, when that is not our own: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigurationError(
        "PostgreSQL does not run as root, and there is no user postgres or nobody: run as another user"
    )


def can_enter(user: pwd.struct_passwd, path: Path) -> bool:
    """Whether the user may enter every folder on the way to `path`. Folders that do not exist yet are left out."""
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    real = path.resolve()
    for folder in {path, *path.parents, real, *real.parents}:  # when a link is among them, both paths must be open
        if not folder.exists():
            continue
        status = folder.stat()
        shift = 6 if status.st_uid == user.pw_uid else 3 if status.st_gid in groups else 0
        if not status.st_mode >> shift & 0o1:
            return False
    return True
