"""The address of a Redis: reads a URL such as redis://user:password@host:6379/0.

An error never repeats a part of the URL, because a password that is not percent-encoded can end up in any of its parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

PORT = 6379
UNREADABLE = (
    "cannot be read; it is redis://, rediss:// or unix://, then user:password@ if there are any, then host:port and "
    "/ with the number of a database, as in redis://:secret@cache.lan:6379/0, or unix:///run/redis.sock?db=0; in user "
    "and password write each of # / ? @ % [ ] and each space percent-encoded (# is %23, / is %2F, @ is %40, % is %25)"
)
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""The parameters of rediss:// that name a file."""

_PART = r"(?:[^/?#@:\[\]%\s]|%[0-9A-Fa-f]{2})*"
_LOGIN = rf"(?:(?P<user>{_PART})(?::(?P<password>(?:{_PART}|:)*))?@)?"
_QUERY = r"(?:\?(?P<query>[^?#@\s]*))?"
_SERVER = re.compile(
    rf"(?P<scheme>rediss?)://{_LOGIN}(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]*))(?::(?P<port>[0-9]{{1,5}}))?"
    rf"(?:/(?P<db>[0-9]*))?{_QUERY}"
)
_SOCKET = re.compile(rf"(?P<scheme>unix)://{_LOGIN}(?P<path>/[^?#\s]+){_QUERY}")


@dataclass(frozen=True)
class RedisAddress:
    """`path` is that of a socket of this machine, and empty for a server at `host` and `port`. `files` are for TLS."""

    host: str
    port: int
    path: str
    db: int
    user: str | None
    password: str | None = field(repr=False)
    tls: bool
    files: dict[str, str]

    @property
    def place(self) -> str:
        """Where the server is, without user and password."""
        if self.path:
            return self.path
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def read_redis_address(url: str) -> RedisAddress:
    """Raises ValueError with a sentence without its subject: `cannot be read; …`."""
    found = _SERVER.fullmatch(url) or _SOCKET.fullmatch(url)
    if found is None:
        raise ValueError(UNREADABLE)
    parts = found.groupdict(default="")
    tls = parts["scheme"] == "rediss"
    allowed = ("db",) if parts["scheme"] == "unix" else FILES if tls else ()
    given = _parameters(parts["query"], allowed)
    port = int(parts.get("port") or PORT)
    if not 0 < port <= 65535:
        raise ValueError("names a port above 65535")
    number = given.pop("db", "") or parts.get("db", "")
    if number and (not number.isdecimal() or len(number) > 5):
        raise ValueError("names a database that is not a small number: Redis numbers its databases 0, 1, 2 …")
    return RedisAddress(
        host=parts.get("v6") or parts.get("host") or "localhost",
        port=port,
        path=_decoded(parts.get("path", "")),
        db=int(number or 0),
        user=_decoded(parts["user"]) or None,
        password=_decoded(parts["password"]) or None,
        tls=tls,
        files=given,
    )


def _parameters(query: str, allowed: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    for entry in filter(None, query.split("&")):
        name, _, value = entry.partition("=")
        if name not in allowed or name in given:
            can = f"only {', '.join(allowed)}, each once" if allowed else "none"
            raise ValueError(f"has a parameter after the question mark that is not known: here there can be {can}")
        given[name] = _decoded(value)
    return given


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(UNREADABLE) from None
