"""Requests that their callers have signed (RFC 9421): whose signature it is, and that it covers all that was asked for.

A signature shows who made a request, and that nobody has changed it on its way, also where TLS does not go all the way.
Nothing is said about a key before a signature was made with it: one of an unknown key takes the same time and is
answered with the same words as a wrong one of a known key.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import algorithms
from http_message_signatures.exceptions import HTTPMessageSignaturesException
from http_message_signatures.resolvers import HTTPSignatureKeyResolver
from http_message_signatures.signatures import HTTPMessageVerifier
from http_message_signatures.structures import VerifyResult

from daemons.process.guard.callers import CHALLENGE, SIGNATURE_INCOMPLETE, SIGNATURE_NOT_VALID, SIGNATURE_USED
from daemons.process.guard.refusals import Refusal

LONGEST = 2_000  # bytes of each of the two headers: what a stranger can have us read
WINDOW = timedelta(seconds=60)  # from when a request was signed until it has come
CLOCKS = timedelta(seconds=30)  # that the clocks of caller and service may differ
REMEMBERED = WINDOW + 4 * CLOCKS  # how long a nonce is kept, which is longer than its signature counts
SHORTEST_NONCE, LONGEST_NONCE = 16, 100  # characters
IF_SENT = ("idempotency-key", "if-match", "orderdeck-actor")
"""Headers that change what a request does: whoever is on its way could add them, if they need not be signed."""
NOBODYS = Ed25519PrivateKey.generate().public_key()
"""The key that a signature of an unknown key is checked with."""
DOES_NOT_FIT = "its key is not known here, is revoked or has expired, or something else was signed than has come"

FindKey = Callable[[str], Ed25519PublicKey | None]


class SignedRequest(NamedTuple):
    """What the library reads of a request."""

    method: str
    url: str
    headers: HeaderLines


class HeaderLines(NamedTuple):
    lines: list[tuple[bytes, bytes]]

    def items(self) -> list[tuple[str, str]]:
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.lines]


class _Keys(HTTPSignatureKeyResolver):
    def __init__(self, find: FindKey) -> None:
        self._find = find

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey:
        return self._find(key_id) or NOBODYS


class _Verifier(HTTPMessageVerifier):
    max_clock_skew = CLOCKS


class Signed(NamedTuple):
    """A request whose signature is right. `body` is complete."""

    key_id: str
    nonce: str
    body: bytes


def verifier(find: FindKey) -> Any:
    """The library's HTTPMessageVerifier, whose methods have no types."""
    return _Verifier(signature_algorithm=algorithms.ED25519, key_resolver=_Keys(find))  # pyright: ignore[reportPrivateImportUsage] - where its documentation has it


async def read_signed(scope: Any, receive: Any, find: FindKey) -> Signed:
    """Check the signature of a request, and then read its body and check that it is the one that was signed.

    Raises a Refusal: 401. The body of whoever has no key is not read.
    """
    request = request_of(scope)
    checking = verifier(find)
    try:
        result: VerifyResult = checking.verify(request, max_age=WINDOW)[0]
    except HTTPMessageSignaturesException as error:
        raise not_valid(_reason(error)) from None
    nonce = _check_coverage(result, request)
    body = await _whole(receive)
    try:
        checking.verify_body(request, [result], body)
    except HTTPMessageSignaturesException as error:
        if '"content-digest"' not in result.covered_components:
            raise incomplete("it does not cover Content-Digest, which a request with a body needs") from None
        raise not_valid(_reason(error)) from None
    return Signed(str(result.parameters["keyid"]), nonce, body)


def request_of(scope: Any) -> SignedRequest:
    """Raises a Refusal for a request whose signature is too long to be looked at."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    host = b"".join(value.strip(b" \t") for name, value in headers if name == b"host")
    for wanted, shown in ((b"signature-input", "Signature-Input"), (b"signature", "Signature")):
        found = [value for name, value in headers if name == wanted]
        if not found:
            raise incomplete(f"the header {shown} is missing")
        if sum(map(len, found)) > LONGEST:
            raise not_valid(f"{shown} is longer than {LONGEST} bytes")
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    url = b"%b://%b%b%b" % (scope["scheme"].encode(), host, scope["raw_path"], query)
    return SignedRequest(scope["method"], url.decode("latin-1"), HeaderLines(headers))


def _check_coverage(result: VerifyResult, request: SignedRequest) -> str:
    """Raise a Refusal unless the signature covers what it has to. Returns its nonce."""
    covered, missing = result.covered_components, list[str]()
    if '"@method"' not in covered:
        missing.append("@method")
    if '"@target-uri"' not in covered:
        missing += [part for part in ("@authority", "@path", "@query") if f'"{part}"' not in covered]
    sent = {name for name, _ in request.headers.items()}
    missing += [name for name in IF_SENT if name in sent and f'"{name}"' not in covered]
    if missing:
        raise incomplete(f"it does not cover {', '.join(missing)}")
    if result.nonce is None or not SHORTEST_NONCE <= len(result.nonce) <= LONGEST_NONCE:
        raise incomplete(f"it needs a nonce of {SHORTEST_NONCE} to {LONGEST_NONCE} characters")
    return result.nonce


async def _whole(receive: Any) -> bytes:
    """The body; the guard has bounded its size and time."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(400, "malformed_request", "the body was broken off")
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def replayed(body: bytes, receive: Any) -> Any:
    """A `receive` that hands on the body which was read already, and then what comes after it."""
    handed_on = False

    async def receive_again() -> Any:
        nonlocal handed_on
        if handed_on:
            return await receive()
        handed_on = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _reason(error: HTTPMessageSignaturesException) -> str:
    """What is wrong, as the library says it. Of a signature that does not fit it says nothing."""
    said = error.args[0] if error.args else ""
    if isinstance(said, Exception) and not isinstance(said, HTTPMessageSignaturesException):
        return DOES_NOT_FIT
    text = str(said)
    return text[:1].lower() + text[1:]


def not_valid(reason: str) -> Refusal:
    return _refused(SIGNATURE_NOT_VALID, f"the signature does not count: {reason}")


def incomplete(reason: str) -> Refusal:
    return _refused(SIGNATURE_INCOMPLETE, f"the signature of this request is not complete: {reason}")


def used() -> Refusal:
    detail = "a request with this signature has come before: sign each one anew, with another nonce"
    return _refused(SIGNATURE_USED, detail)


def _refused(code: str, detail: str) -> Refusal:
    return Refusal(401, code, detail, {"WWW-Authenticate": CHALLENGE})
