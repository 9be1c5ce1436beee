"""Which Host a request may name.

A web page of a stranger can make its own name lead to this machine (DNS rebinding), and would then pass for a page of
ours. Its requests still name the stranger's host, and are refused for that.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from daemons.process.guard.refusals import Refusal

LOOPBACK = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})
AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(\d{0,5}))?")
REMEMBERED = 1_000  # texts of Host headers that were allowed


class Hosts:
    """`names` are those that the settings allow besides loopback: names, addresses, `*.example.com`, or `*` for all."""

    def __init__(self, names: Iterable[str]) -> None:
        given = {name.lower().strip("[]") for name in names}
        self._any = "*" in given
        self._endings = tuple(name[1:] for name in given if name.startswith("*."))
        self._names = LOOPBACK | {_name(name) for name in given}
        self._allowed: set[tuple[bytes, str]] = set()

    def check(self, header: bytes, local: str) -> None:
        """Raise a Refusal unless this Host may be named on a connection that came in at the address `local`."""
        if (header, local) in self._allowed:
            return
        host, _ = authority(header)
        if not (self._any or host in self._names or host.endswith(self._endings) or _is_here(host, local)):
            detail = "this service is not known under that host; ORDERDECK_HOSTS lists the names it has besides its own"
            raise Refusal(421, "host_not_allowed", detail)
        if len(self._allowed) < REMEMBERED:
            self._allowed.add((header, local))


def authority(text: bytes) -> tuple[str, str]:
    """The host and the port that a Host header or an origin names; raises a Refusal when it is malformed.

    The host is in lower case, without a dot at its end; an address is in its usual form; no port is an empty text.
    """
    found = AUTHORITY.fullmatch(text.decode("latin-1").strip(" \t").lower())
    if found is None or int(found[2] or 0) > 65535:
        raise Refusal(400, "host_malformed", "the Host header must be a name or an address, and a port if need be")
    try:
        return _name(found[1].strip("[]")), found[2] or ""
    except ValueError:
        raise Refusal(400, "host_malformed", "the Host header has no valid address in its brackets") from None


def _name(text: str) -> str:
    if ":" in text:
        address = ipaddress.IPv6Address(text)
        return str(address.ipv4_mapped or address)
    return text.removesuffix(".")


def _is_here(host: str, local: str) -> bool:
    """Whether a host is an address of loopback, or the one at which the connection came in."""
    try:
        return ipaddress.ip_address(host).is_loopback or host == _name(local)
    except ValueError:
        return False
