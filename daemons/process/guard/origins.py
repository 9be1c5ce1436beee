"""Which pages of the web may read our answers and send commands: our own, and those of origins that a setting lists."""

from __future__ import annotations

import re
from collections.abc import Iterable

from daemons.process.guard.hosts import authority
from daemons.process.guard.refusals import Refusal

Header = tuple[bytes, bytes]

ORIGIN = re.compile(rb"(https?)://([^/?#@]+)", re.IGNORECASE)
PORTS = {b"http": "80", b"https": "443"}
METHODS = b"GET, HEAD, POST, PUT, OPTIONS"
SENT = (
    b"Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, Orderdeck-Actor, X-Request-Id, "
    b"Cache-Control"
)
READ = (
    b"ETag, Location, Retry-After, X-Request-Id, Idempotent-Replayed, Orderdeck-Ignored-Fields, Orderdeck-Read-From, "
    b"Orderdeck-Position, Orderdeck-Server, Orderdeck-Primary-Away, Allow, RateLimit, RateLimit-Policy"
)
PREFLIGHT_LASTS = b"600"  # seconds for which a browser remembers a preflight


class Origins:
    """`listed` are origins such as `https://desk.example.com`, or `*` for every one."""

    def __init__(self, listed: Iterable[str]) -> None:
        names = [origin.encode() for origin in listed]
        self._any = b"*" in names
        self._listed = {_normal(name) for name in names if name != b"*"}

    def check(self, origin: bytes | None, site: bytes | None, host: bytes | None) -> list[Header]:
        """The headers that let a page of a listed origin read the answer, none for other callers.

        Raises a Refusal for a page of an origin that is neither listed nor our own. `site` is Sec-Fetch-Site, in which
        browsers say where a request comes from, also when they send no Origin.
        """
        if origin is None:
            if site is not None and site.strip().lower() == b"cross-site":
                raise _refused()
            return []
        normal = _normal(origin)
        if self._any or (normal is not None and normal in self._listed):
            allowed = b"*" if self._any else origin
            return [
                (b"access-control-allow-origin", allowed),
                (b"access-control-expose-headers", READ),
                (b"vary", b"Origin"),
            ]
        if normal is None or host is None or not _is_own(normal, host) or (site or b"").lower() == b"cross-site":
            raise _refused()
        return []


def preflight(headers: list[Header]) -> list[Header]:
    """The headers that answer the question of a browser whether a page may send a request."""
    return [
        *headers,
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", SENT),
        (b"access-control-allow-private-network", b"true"),
        (b"access-control-max-age", PREFLIGHT_LASTS),
    ]


def _normal(origin: bytes) -> tuple[bytes, str, str] | None:
    """Scheme, host and port of an origin; None when it is malformed or `null`."""
    found = ORIGIN.fullmatch(origin.strip())
    if found is None:
        return None
    scheme = found[1].lower()
    try:
        host, port = authority(found[2])
    except Refusal:
        return None
    return scheme, host, port or PORTS[scheme]


def _is_own(origin: tuple[bytes, str, str], host: bytes) -> bool:
    scheme, name, port = origin
    own, own_port = authority(host)
    return (name, port) == (own, own_port or PORTS[scheme])


def _refused() -> Refusal:
    detail = "pages of other origins may not ask here; ORDERDECK_CORS_ORIGINS lists those that may"
    return Refusal(403, "origin_not_allowed", detail)
