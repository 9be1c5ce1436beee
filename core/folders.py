"""Makes the folders that only we may enter, refuses what somebody else has put in their place, and opens files."""

from __future__ import annotations

import errno
import io
import os
import pwd
import stat
import tempfile
from pathlib import Path

from core.errors import ConfigurationError


def at_home(path: str | Path) -> Path:
    """The path with the folder of the user in place of `~` or `~name`. Raises ValueError if there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"begins with {Path(path).parts[0]}, and there is no such user here") from None


def make_folder(path: Path, mode: int, *, owner: int | None = None, group: int | None = None) -> bool:
    """Make a folder with exactly this mode, owner and group (default: ours), or give them to an existing one.

    A link is followed only if we made it. Another user's folder is refused; but root takes it over, unless everybody
    may put files beside it, as in /tmp. Returns whether it was taken over. Raises ConfigurationError and OSError.
    """
    us, shared = os.geteuid(), bool(path.parent.stat().st_mode & stat.S_IWOTH)
    owner = us if owner is None else owner
    if path.is_symlink() and path.lstat().st_uid == us and not shared:
        path = path.resolve()
    if not os.path.lexists(path):
        _make(path, mode, owner, group)
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except NotADirectoryError:  # also for a link
        raise ConfigurationError(
            f"{path} is a link or a file, and not a folder of ours: remove it, or set another ORDERDECK_HOME"
        ) from None
    try:
        found = os.fstat(folder)
        foreign = found.st_uid not in {us, owner}
        if foreign and (us != 0 or shared):
            raise ConfigurationError(f"{path} belongs to someone else: remove it, or set another ORDERDECK_HOME")
        if us == 0:
            os.fchown(folder, owner, os.getegid() if group is None else group)
        os.fchmod(folder, mode)
    finally:
        os.close(folder)
    return foreign


def _make(path: Path, mode: int, owner: int, group: int | None) -> None:
    """Make a folder that is there only with its mode, owner and group, so that nobody finds it closed meanwhile."""
    fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        if os.geteuid() == 0:
            os.chown(fresh, owner, os.getegid() if group is None else group)
        fresh.chmod(mode)
        fresh.rename(path)
    except OSError:
        fresh.rmdir()
        if not os.path.lexists(path):  # else another process was faster
            raise


def remove_links(folder: Path) -> None:
    """Remove the links in a folder that was another user's, so that nothing we write there goes elsewhere."""
    for entry in folder.iterdir():
        if entry.is_symlink():
            entry.unlink()


def give(path: Path, user: pwd.struct_passwd) -> None:
    """As root, give a user a file, or a folder with all that is in it; but no link, and no file with two names."""
    if path.is_dir() and not path.is_symlink():
        for _, folders, files, folder in os.fwalk(path):
            for name in (*folders, *files):
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1:
                    os.chown(name, user.pw_uid, user.pw_gid, dir_fd=folder, follow_symlinks=False)
            os.fchown(folder, user.pw_uid, user.pw_gid)
        return
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            os.fchown(file, user.pw_uid, user.pw_gid)
            os.fchmod(file, 0o600)
    finally:
        os.close(file)


def write_private(file: Path, text: str) -> None:
    """Write a file that nobody else may read; a device is written to as it is. Raises OSError."""
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "w", encoding="utf-8", errors="replace") as writer:
        if stat.S_ISREG(os.fstat(opened).st_mode):
            os.fchmod(opened, 0o600)  # one that was there may have been readable for others
        writer.write(text)


def open_file(path: Path) -> io.BufferedReader:
    """Open a file that somebody has named, to read it. Raises OSError.

    What is no file is refused: a pipe may have nobody who writes to it, and a device may have no end.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return os.fdopen(opened, "rb")
