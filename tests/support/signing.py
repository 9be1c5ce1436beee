"""A caller that signs its requests (RFC 9421), and the database that knows its key, without a database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from http_message_signatures import algorithms
from http_message_signatures.resolvers import MappingKeyResolver
from http_message_signatures.signatures import HTTPMessageSigner

from core.api_keys import Role
from core.errors import Unavailable
from core.ports.api_keys import ValidKey
from daemons.process.guard.callers import Caller
from daemons.process.key_ring import KeyRing

PRIVATE = Ed25519PrivateKey.generate()
KEY_ID = "od_abcdefghij"
URL = "http://desk.example:8080/api/v1/orders?dry_run=true"
BODY = b'{"customer_id": "customer-1"}'
COVERED = ("@method", "@authority", "@path", "@query")


class SigningKeys:
    """Answers as the database would, or as it does when it is away."""

    def __init__(self) -> None:
        pem = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.keys = [
            ValidKey(id=KEY_ID[3:], caller="shop", role=Role.OPERATOR, hash=None, public_key=pem, seconds_left=None)
        ]
        self.nonces: set[tuple[str, str]] = set()
        self.away = False

    async def changes(self) -> int:
        return len(self.keys)

    async def valid(self) -> Sequence[ValidKey]:
        return self.keys

    async def note_used(self, ids: Iterable[str]) -> None: ...

    async def forget_nonces(self) -> None: ...

    async def use_nonce(self, id_: str, nonce: str, time: timedelta) -> bool:
        assert time > timedelta(minutes=2)
        if self.away:
            raise Unavailable("away")
        fresh = (id_, nonce) not in self.nonces
        self.nonces.add((id_, nonce))
        return fresh


def signed(method: str = "POST", url: str = URL, body: bytes | None = BODY, **terms: Any) -> httpx.Request:
    """`created` and `expires` are in seconds from now."""
    request = httpx.Request(method, url, content=body, headers=terms.pop("headers", None))
    private = terms.pop("private", PRIVATE)
    for when in ("created", "expires"):
        if when in terms:
            terms[when] = datetime.now(UTC) + timedelta(seconds=terms[when])
    named: dict[str, Any] = {
        "key_id": KEY_ID, "nonce": "0123456789abcdef", "covered_component_ids": COVERED, "body": body or None
    } | terms  # fmt: skip
    keys = MappingKeyResolver(public_keys={}, private_keys={named["key_id"]: private})
    signer = cast("Any", HTTPMessageSigner)(signature_algorithm=cast("Any", algorithms).ED25519, key_resolver=keys)
    signer.sign(request, **named)
    return request


def scope_of(request: httpx.Request) -> dict[str, Any]:
    """As uvicorn makes it of what comes over the wire."""
    raw_path, _, query = request.url.raw_path.partition(b"?")
    return {
        "method": request.method,
        "scheme": request.url.scheme,
        "raw_path": raw_path,
        "query_string": query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }


async def ask(ring: KeyRing, request: httpx.Request, **changed: Any) -> tuple[Caller, bytes]:
    body = changed.pop("body", request.content)
    parts = [body[:10], body[10:], b""]

    async def receive() -> dict[str, Any]:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    caller, receive_again = await ring.admit_signed(scope_of(request) | changed, receive)
    message = await receive_again()
    assert not message["more_body"]
    return caller, message["body"]
