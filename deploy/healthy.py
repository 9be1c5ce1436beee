"""The container's health check: exits with 0 when every HTTP service in the container is ready, else with 1."""

# ruff: noqa: INP001 - a script, not a package
from __future__ import annotations

import sys
import urllib.error
import urllib.request

from core.settings import load_settings, reachable

PORTS = (8080, 8081, 8090)
LIMIT = 3.0  # seconds


def main() -> int:
    host = reachable(load_settings().host)
    for port in PORTS:
        try:
            urllib.request.urlopen(f"http://{host}:{port}/ready", timeout=LIMIT).close()
        except (urllib.error.URLError, TimeoutError) as error:
            sys.stderr.write(f"port {port}: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
