"""Who runs a command on this machine."""

from __future__ import annotations

import getpass
import os
import re


def actor() -> str:
    """Who runs the command, as a header can have it. In a container that may be a number that has no name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = str(os.getuid())
    return re.sub(r"[^\x20-\x7e]", "?", name).strip() or "?"
