"""Refuses a request whose headers callers and proxies could read in two ways, or that no route here can answer."""

from __future__ import annotations

import re
from collections.abc import Mapping

from daemons.process.guard.refusals import Refusal

FRAMING = frozenset({b"transfer-encoding", b"content-length", b"expect", b"host"})
"""The headers that are looked at here. The parser has refused repeated and malformed lengths already."""
ALLOW = "GET, HEAD, OPTIONS, POST, PUT"
ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)


def check_framing(version: str, headers: Mapping[bytes, bytes], largest_body: int) -> None:
    """Raise a Refusal for a request whose end could be understood in two ways, or whose body is too large."""
    if version not in ("1.1", "1.0"):
        raise Refusal(400, "version_not_supported", "only HTTP/1.1 and HTTP/1.0 are spoken here")
    coding = headers.get(b"transfer-encoding")
    if coding is not None and (version == "1.0" or coding.strip().lower() != b"chunked"):
        raise Refusal(400, "malformed_request", "the only Transfer-Encoding is chunked, of HTTP/1.1")
    if int(headers.get(b"content-length", b"0")) > largest_body:
        raise too_large_body()
    if headers.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise Refusal(417, "expectation_failed", "the only expectation is 100-continue")


def path_of(target: bytes, method: bytes, host: bytes) -> bytes:
    """The path and query of a target that does not begin with a slash; raises a Refusal for what is no address of ours.

    Callers that take us for a proxy send the whole address. Its host has to be that of the Host header, which is
    checked later.
    """
    if target == b"*" and method == b"OPTIONS":
        return target
    if method == b"CONNECT":
        raise Refusal(405, "method_not_allowed", "this is no proxy", {"Allow": ALLOW})
    absolute = ABSOLUTE.match(target)
    if absolute is None:
        raise Refusal(400, "malformed_request", "the address must begin with a slash")
    if absolute[1].lower() != host.strip().lower():
        raise Refusal(400, "host_malformed", "the address and the Host header name different hosts")
    rest = target[absolute.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def too_large_body() -> Refusal:
    return Refusal(413, "request_entity_too_large", "the body is too large")
