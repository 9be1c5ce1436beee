"""Child processes that never outlive their parent, not even one that was killed with SIGKILL."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
# Loaded here and not in the function: it runs between fork and exec, where as little as possible should happen.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send us this signal when our parent ends; elsewhere than on Linux, do nothing."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)
