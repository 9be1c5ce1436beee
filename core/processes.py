"""Makes child processes end with their parent, even when the parent is killed with SIGKILL."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
# Loaded here, because the function runs between fork and exec, where as little as possible should happen.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when its parent ends. Does nothing on systems other than Linux."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)
