"""A daemon that was started by root goes on as an ordinary user, without any capability, before it answers anybody."""

from __future__ import annotations

import os
import pwd
import shlex
import sys
from pathlib import Path
from typing import cast

from core.errors import ConfigurationError
from core.home import Home, can_enter, may_pass, unprivileged_user
from core.processes import die_with_parent, give_up_privileges

CODE = Path(__file__).parents[2]


def drop_root(home: Home) -> None:
    """Become the user of this home, when supervisord has started this process as root.

    Call it on the main thread, before other threads start. What the daemon opens later, it opens as that user.
    """
    user = unprivileged_user()
    if user is None or "SUPERVISOR_ENABLED" not in os.environ:
        return
    home.hand_over(user)
    parent = os.getppid()
    keep_code_open(user)
    give_up_privileges(user)
    os.environ["HOME"] = user.pw_dir  # the database's driver looks for certificates there; that of root is closed
    die_with_parent()  # once more, because a change of user undoes it
    if os.getppid() != parent:
        os._exit(1)


def keep_code_open(user: pwd.struct_passwd) -> None:
    """Let this process import modules later from folders that `user` cannot enter, for example below /root.

    Root opens the folders here, and their modules are then found through the open folders. Linux checks the rights of
    the folders above an open one only when it is opened by its path. Raises ConfigurationError when a folder of code is
    itself closed to the user.
    """
    packages = {path for module in list(sys.modules.values()) for path in _paths_of(module)}
    closed = next((path for path in packages if Path(path).is_dir() and not may_pass(user, Path(path))), None)
    if closed is not None:
        places = [sys.prefix, *(str(CODE / name) for name in ("core", "daemons", "tui"))]
        raise ConfigurationError(
            f"{user.pw_name}, as whom the daemons run, cannot read the code in {closed}, made under a strict umask: "
            f"let everybody read it with `chmod -R a+rX {shlex.join(places)}`"
        )
    tops = [entry for entry in sys.path if entry and Path(entry).is_dir() and may_pass(user, Path(entry))]
    for package in sorted(packages):  # those of an editable installation are in no folder of the path
        if not any(Path(package).is_relative_to(top) for top in tops):
            tops.append(package)
    tops.sort(key=len, reverse=True)
    opened = {
        top: f"/proc/self/fd/{os.open(top, os.O_PATH | os.O_DIRECTORY)}"
        for top in tops
        if Path(top).is_dir() and not can_enter(user, Path(top))
    }

    def through(path: str) -> str:
        top = next((top for top in opened if Path(path).is_relative_to(top)), None)
        return path if top is None else opened[top] + path.removeprefix(top)

    for module in list(sys.modules.values()):
        if paths := _paths_of(module):
            module.__path__ = [through(path) for path in paths]
    sys.path[:] = [through(path) for path in sys.path]
    sys.path_importer_cache.clear()


def _paths_of(module: object) -> list[str]:
    paths = getattr(module, "__path__", None)
    return cast("list[str]", paths) if isinstance(paths, list) else []
