"""Which addresses are of the open internet, and which address a host of a URL is if no name has to be looked up."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

EMBEDDED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
"""IPv6 networks whose last 32 bits are the IPv4 address that a gateway may connect to."""
NEVER = (ipaddress.ip_network("64:ff9b:1::/48"),)
"""Networks that Python 3.11 takes for public: that of gateways of one's own network."""
LOOPBACK: tuple[Address, ...] = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))


def is_public(address: Address) -> bool:
    """Whether the whole internet may reach this address, and what it leads to if it holds another one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and any(address in network for network in EMBEDDED):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local or any(address in network for network in NEVER):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def is_allowed(address: Address, networks: Iterable[Network]) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any(one in network for one in (address, mapped) if one is not None for network in networks)


def known_addresses(host: str) -> tuple[Address, ...]:
    """The addresses of a host that is written in numbers, in any way that systems read, or is this machine's name."""
    host = host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761
        return LOOPBACK
    try:
        return (ipaddress.ip_address(host),)
    except ValueError:
        pass
    try:
        return (ipaddress.IPv4Address(socket.inet_aton(host)),)  # 127.1, 0x7f000001 and 2130706433 are 127.0.0.1
    except OSError:
        return ()
