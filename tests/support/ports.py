"""Ports for the programs of a test, which no other test gets, not even one of another process."""

from __future__ import annotations

import random
import socket

# Below the ports that Linux and macOS give to connections, so that no client's end can sit on one of them.
FIRST, LAST = 20_000, 32_000

_claims: list[socket.socket] = []


def free_port(*, several: int = 0) -> int:
    """A TCP port that nothing listens on, and that is ours until this process ends.

    With `several` so are the ports 100, 200 … above it, which that many processes of one program have.
    A program that is killed by its test finds its port free when it starts again. The claim is a UDP socket on the same
    number: of the processes that run tests only one can hold it, and it takes nothing from those who listen on TCP.
    """
    for port in random.sample(range(FIRST, LAST), LAST - FIRST):
        claims = [claim for n in range(several + 1) if (claim := _claim(port + 100 * n)) is not None]
        if len(claims) == several + 1:
            _claims.extend(claims)
            return port
        for claim in claims:
            claim.close()
    raise AssertionError(f"every port from {FIRST} to {LAST} is taken")


def _claim(port: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind(("127.0.0.1", port))
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            probe.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return None
    return claim
