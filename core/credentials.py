"""What a client shows the services: its own key, or else a token of this home if they are on this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from core.home_key import HomeKey, find_home_key

Show = Callable[[str], "str | None"]
"""What to show the service at this address, a secret; None: nothing."""


def show_nothing(_url: str) -> None:
    pass


def show_key(own_key: Callable[[], str] | None, home: Path, host: str = "127.0.0.1") -> Show:
    """`own_key` is called each time. `host` is the address at which the services of this home listen."""
    found: list[HomeKey] = []  # none as long as there is none: it is made when the services start anew with keys

    def show(url: str) -> str | None:
        if own_key is not None:
            return own_key()
        parts = urlsplit(url)
        if not _is_here(parts.hostname or "", host):
            return None
        if not found:
            if (key := find_home_key(home)) is None:
                return None
            found.append(key)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return found[0].token(port)

    return show


@lru_cache(maxsize=64)
def _is_here(name: str, host: str) -> bool:
    try:
        return name == host or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
