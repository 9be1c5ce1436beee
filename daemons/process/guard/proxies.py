"""Proxies that are trusted: what they say about their clients counts, and what anybody else says does not.

A proxy adds the address that it was asked from at the right end of X-Forwarded-For. So the client is the first address
from the right that is no trusted proxy; what stands left of it may be made up.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

FORWARDED_FOR = b"x-forwarded-for"
FORWARDED_PROTO = b"x-forwarded-proto"
MOST_HOPS = 20  # addresses that are looked at

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """`trusted` are addresses, and networks such as 10.0.0.0/8."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(each, strict=False) for each in trusted]

    def note_client(self, scope: Any, seen: dict[bytes, bytes]) -> None:
        """Put the client's address and scheme into the scope of a request that a trusted proxy has passed on."""
        if FORWARDED_FOR not in seen and FORWARDED_PROTO not in seen:
            return
        peer = _address((scope["client"] or ("",))[0])
        if peer is None or not self._trusts(peer):
            return
        client = peer
        for entry in reversed(seen.get(FORWARDED_FOR, b"").split(b",")[-MOST_HOPS:]):
            found = _address(entry.decode("latin-1"))
            if found is None:
                break  # the proxy next to it is the last one of whom we know
            client = found
            if not self._trusts(found):
                break
        if client is not peer:
            scope["client"] = (str(client), 0)
        proto = seen.get(FORWARDED_PROTO, b"").rpartition(b",")[2].strip().lower()
        if proto in (b"http", b"https"):
            scope["scheme"] = proto.decode()

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _address(text: str) -> Address | None:
    """The address in a text such as `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` or `[2001:db8::1]:443`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
