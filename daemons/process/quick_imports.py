"""Imports the modules of a daemon quickly, and without those that libraries use only if they are there."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager

# With these structlog draws tracebacks on terminals, and uvicorn reloads code: 90 modules, 40 ms and 4 MB a daemon.
NOT_WANTED = ("rich.console", "rich.pretty", "rich.traceback", "better_exceptions", "watchfiles")


@contextmanager
def quick_imports() -> Generator[None]:
    """Import within the block what the daemon consists of.

    The garbage collector waits meanwhile, since modules stay, and looks at none of them later.
    """
    gc.disable()
    hidden = {name: None for name in NOT_WANTED if name not in sys.modules}
    sys.modules.update(hidden)  # pyright: ignore[reportArgumentType, reportCallIssue] - None: it is not to be found
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        gc.enable()
