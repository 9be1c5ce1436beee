"""What a process asks of the kernel: to end with its parent, and to give up the rights of root for good."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_HIGHEST_CAPABILITY = 63
# Loaded here, because the function runs between fork and exec, where as little as possible should happen.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when its parent ends. Does nothing on systems other than Linux."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)


def give_up_privileges(user: pwd.struct_passwd) -> None:
    """Go on as this user, without capabilities, and without a way to get any by running another program."""
    if _libc is not None:
        for capability in range(_HIGHEST_CAPABILITY + 1):
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for those that this kernel does not have
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.setgroups([user.pw_gid])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)  # as root this sets all three ids, and the kernel then clears every capability
    os.umask(0o077)
