"""A real proxy before a service of a test: Caddy, from a Python wheel."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.processes import die_with_parent
from tests.support.ports import free_port
from tests.support.raw_http import request, send

STARTS_WITHIN = 30.0
CADDYFILE = """
{{
    admin off
    persist_config off
    auto_https off
}}
http://127.0.0.1:{port}, http://localhost:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{behind}
}}
"""


@contextmanager
def caddy_before(behind: int, folder: Path) -> Iterator[int]:
    """Pass on what comes in to the service at the port `behind`; yields the port of the proxy, at 127.0.0.1."""
    port = free_port()
    file = folder / "Caddyfile"
    file.write_text(CADDYFILE.format(port=port, behind=behind))
    with (folder / "caddy.log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "caddy", "run", "--config", file, "--adapter", "caddyfile"],
            env={"HOME": str(folder)},
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
        )
    try:
        deadline = time.monotonic() + STARTS_WITHIN
        while not _answers(port):
            said = (folder / "caddy.log").read_text()
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return send(port, request("GET", "/health")).status == 200
    except OSError:
        return False
