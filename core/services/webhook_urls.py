"""Addresses that a webhook may have: their form is right, and their host is one that can be found from here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

import idna

from core.public_addresses import Network, is_allowed, is_public, known_addresses

LONGEST_URL = 2_000
LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
IN_BRACKETS = re.compile(r"\[[0-9A-Fa-f:.]+(%25[^\]]+)?\](:[0-9]+)?")
NEVER_RESOLVED = frozenset({"alt", "invalid", "onion"})  # RFC 9476, RFC 6761 section 6.4, RFC 7686
OWN_NETWORK = ("home.arpa", "internal", "local", "test")
"""What names end in that no server of the internet knows, and one's own may: RFC 8375, ICANN's resolution
2024.07.29.06, RFC 6762, RFC 6761 section 6.2."""
NO_ADDRESS = "is no address: write https://shop.example.com/orders"


def wrong_url(url: str, networks: Sequence[Network]) -> str | None:
    """What is wrong with an address that may lead to these networks besides the open internet; None if nothing is.

    Names are not looked up. Where one leads is looked at each time before somebody is called.
    """
    if len(url) > LONGEST_URL:
        return f"must have at most {LONGEST_URL} characters"
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        return "must be an address in ASCII, with %-escapes and xn-- for anything else"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return NO_ADDRESS
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "must begin with https:// and the name of a machine"
    if "@" in parts.netloc:
        return "must have no user or password: messages are signed"
    if "[" in parts.netloc and not IN_BRACKETS.fullmatch(parts.netloc):
        return NO_ADDRESS
    if parts.fragment or url.endswith("#"):
        return "must have no fragment (#)"
    if port == 0 or parts.netloc.endswith(":"):
        return "must have a port from 1 to 65535, or none and no colon"
    return _wrong_host(parts.hostname) or _nowhere(parts, parts.hostname, networks)


def _wrong_host(host: str) -> str | None:
    """Why no system ever finds a host of this name."""
    if ":" in host:  # of IPv6
        return None
    name = host.removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        return "must have a host name, or an IP address"
    if broken := [label for label in labels if label.startswith("xn--") and not _is_decodable(label)]:
        return f"must have a host name that can be found: {broken[0]} stands for no letters"
    if NUMBER.fullmatch(labels[-1]) and host != name:
        return "must have an IP address without a dot at its end"
    if labels[-1] in NEVER_RESOLVED or (NUMBER.fullmatch(labels[-1]) and not known_addresses(name)):
        return f"must have a host name that can be found: none ends in .{labels[-1]}"
    return None


def _is_decodable(label: str) -> bool:
    """Whether this is a name in other letters, by the rules of today (RFC 5891) or those of before, which had emoji."""
    try:
        idna.ulabel(label)
    except idna.IDNAError:
        try:
            label.encode().decode("idna")
        except UnicodeError:
            return False
    return True


def _nowhere(parts: SplitResult, host: str, networks: Sequence[Network]) -> str | None:
    """Why nothing could ever be sent to a host that some system finds."""
    known = known_addresses(host)
    if any(is_allowed(address, networks) for address in known):
        return None
    if known and not is_public(known[0]):
        return f"{host} is not of the open internet, nor of a network in ORDERDECK_WEBHOOK_NETWORKS"
    if not known and not networks and _is_of_own_network(host.removesuffix(".")):
        return f"{host} can be found in one's own network only, and ORDERDECK_WEBHOOK_NETWORKS has none"
    if parts.scheme == "http" and (known or not networks):
        return "must begin with https://: without TLS, only networks of ORDERDECK_WEBHOOK_NETWORKS are reached"
    return None


def _is_of_own_network(name: str) -> bool:
    return "." not in name or name.endswith(tuple(f".{end}" for end in OWN_NETWORK)) or name in OWN_NETWORK
