"""The limits that every HTTP service keeps, each with the reason for its size."""

from __future__ import annotations

import resource
from dataclasses import dataclass

FILES_FOR_THE_REST = 200  # open files that are not connections of callers: the database, logs, the daemon's own calls


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Sizes are in bytes, times in seconds."""

    head: int = 64 * 1024  # request line, headers and trailers; browsers stay below 16 KB
    headers: int = 100  # a browser sends about 20, a proxy adds some
    target: int = 8 * 1024  # path and query; 100 ids and 100 order numbers with commas take 5.3 KB
    body: int = 1 << 20  # of any request

    head_time: float = 10.0  # from the first byte of a request until its headers are complete
    body_time: float = 30.0  # from then until its body is complete: 1 MiB at 35 KB/s
    idle_time: float = 30.0  # between two requests; longer than our own clients keep a connection that they do not use
    stall_time: float = 60.0  # in which a caller takes none of the bytes that wait for it
    linger_time: float = 1.0  # after a refusal, so that a caller who still sends can read why

    connections: int = 768  # of a service; it needs a file for each, and up to 150 KB if a caller means harm
    share: int = 384  # of these, for one address; everything on this machine comes from one

    requests: int = (
        256  # that are worked on at a time: with all its callers waiting, a process answers them in a second
    )


def fitted(limits: Limits) -> Limits:
    """These limits with no more connections than this process may have files open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = limits.connections if files == resource.RLIM_INFINITY else max(20, files - FILES_FOR_THE_REST)
    if room >= limits.connections:
        return limits
    return Limits(**{**vars(limits), "connections": room, "share": min(limits.share, (room + 1) // 2)})
