"""Places: so many in all and so many for each address, so that nobody takes all of them."""

from __future__ import annotations

import ipaddress
from collections import Counter
from functools import lru_cache


class Places:
    """Counts who has a place; an address never has more than its share."""

    def __init__(self, most: int, share: int) -> None:
        self.most = most
        self.share = share
        self.taken = 0
        self._by_owner: Counter[str] = Counter()

    def take(self, owner: str) -> bool:
        """Take a place for this owner; False when there is none for it."""
        if self.taken >= self.most or self._by_owner[owner] >= self.share:
            return False
        self.taken += 1
        self._by_owner[owner] += 1
        return True

    def leave(self, owner: str) -> None:
        self.taken -= 1
        self._by_owner[owner] -= 1
        if not self._by_owner[owner]:
            del self._by_owner[owner]


def owner_of(client: tuple[str, int] | None) -> str:
    """Whose share a connection counts for: its IPv4 address, or the /64 of its IPv6 address, which one caller owns."""
    return "" if client is None else _owner(client[0])


@lru_cache(maxsize=4_096)
def _owner(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    if address.is_loopback:
        return "::1"
    return str(ipaddress.ip_network((address, 64), strict=False))
