"""Access tokens of people, which an OpenID Connect issuer has signed (RFC 9068): who it is, and which role that gives.

A token is checked here, with the issuer's public keys. They are fetched when a token is signed with one that is not
known, and anew after a while; what strangers send can cause one question to the issuer in ASK_EVERY at most.
"""

from __future__ import annotations

import asyncio
import binascii
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from core.api_keys import Role
from core.domain.validation import wrong_text
from core.settings import Settings
from daemons.process.guard.callers import Caller, wrong_key
from daemons.process.guard.refusals import Refusal

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Only those with a public key: a token that is signed with a text that everybody can read proves nothing."""
LONGEST = 8_000  # bytes of a token
LONGEST_NAME = 90  # characters
LEEWAY = 30  # seconds that the clocks of issuer and service may differ
ASK_EVERY = 30.0  # seconds between two questions to the issuer, whatever callers send
FRESH = 600.0  # seconds after which its keys are fetched anew
KEPT = 24 * 3600.0  # seconds for which they count while the issuer does not answer
WITHIN = 3.0  # seconds for an answer of the issuer
LARGEST = 1 << 18  # bytes of one
MOST_KEYS = 100

SigningKey = RSAKey | ECKey | OKPKey
_log = structlog.get_logger(__name__)


class AccessTokens:
    """The issuer that the settings name, and the keys it has now."""

    def __init__(self, settings: Settings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._issuer = settings.oidc_issuer
        self._keys_at = settings.oidc_jwks_url
        self._name_claim = settings.oidc_name_claim
        self._roles_claim = settings.oidc_roles_claim
        self._roles = settings.role_names
        self._monotonic = monotonic
        self._registry = JWSRegistry(algorithms=list(ALGORITHMS))
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": settings.oidc_audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        self._keys: dict[str, SigningKey] = {}
        self._asked = self._answered = float("-inf")
        self._asking = asyncio.Lock()

    async def caller(self, token: bytes) -> Caller:
        """Whose token it is. Raises a Refusal: 401, 403 without a role here, 503 without the issuer's keys."""
        key = await self._key(_key_id(token))
        try:
            decoded = jwt.decode(token, key, algorithms=list(ALGORITHMS), registry=self._registry)
            self._claims.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
            raise wrong_key() from None
        claims = decoded.claims
        name, until = claims.get(self._name_claim), claims["exp"]
        if not isinstance(name, str) or wrong_text(name, LONGEST_NAME) or not isinstance(until, (int, float)):
            raise wrong_key()
        role = self._role(claims)
        if role is None:
            detail = f"the access token gives no role here: its claim {self._roles_claim} names none that is known"
            raise Refusal(403, "no_role", detail)
        # The prefix keeps a person from being named like a caller with a key of ours.
        return Caller(f"oidc:{name}", role, until=self._monotonic() + until + LEEWAY - time.time())

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        """The highest of the roles that the claim gives, which may lie deeper, as in `realm_access.roles`."""
        value: Any = claims
        for part in self._roles_claim.split("."):
            value = cast("dict[str, Any]", value).get(part) if isinstance(value, dict) else None
        named = cast("list[Any]", value.split() if isinstance(value, str) else value if isinstance(value, list) else [])
        found = [self._roles[each] for each in named if isinstance(each, str) and each in self._roles]
        return max(found, key=list(Role).index, default=None)

    async def _key(self, id_: str) -> SigningKey:
        if self._monotonic() - self._answered > FRESH or id_ not in self._keys:
            async with self._asking:  # callers who come at the same time wait for one question
                now = self._monotonic()
                if (now - self._answered > FRESH or id_ not in self._keys) and now - self._asked > ASK_EVERY:
                    self._asked = now
                    await self._ask()
        away = self._answered < self._asked
        if id_ in self._keys and self._monotonic() - self._answered <= KEPT:
            return self._keys[id_]
        if away:
            detail = "the issuer of access tokens does not answer, so nobody can say whether this one is valid"
            raise Refusal(503, "unavailable", detail, {"Retry-After": "5"})
        raise wrong_key()

    async def _ask(self) -> None:
        """Fetch the keys of the issuer. On an error those of before stay."""
        try:
            async with asyncio.timeout(WITHIN):
                self._keys = _keys_in(await fetch(self._keys_at or await self._find_keys()))
        except Exception as error:  # noqa: BLE001 - whatever the issuer answers, it is away
            _log.warning("the issuer of access tokens does not answer", reason=str(error) or type(error).__name__)
        else:
            self._answered = self._monotonic()

    async def _find_keys(self) -> str:
        described = msgspec.json.decode(await fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"))
        if described["issuer"] != self._issuer:
            raise ValueError("it says that it is another issuer")
        return str(described["jwks_uri"])


async def fetch(url: str) -> bytes:
    """The body of an answer with status 200. Redirects are not followed."""
    import httpcore  # noqa: PLC0415 - only who has an issuer needs it

    body = b""
    trusts = ssl.create_default_context()  # with the authorities of SSL_CERT_FILE, if it is set
    async with httpcore.AsyncConnectionPool(trusts) as pool, pool.stream("GET", url) as answer:
        if answer.status != 200:
            raise ValueError(f"{url} answered {answer.status}")
        async for part in answer.aiter_stream():
            body += part
            if len(body) > LARGEST:
                raise ValueError(f"{url} answered more than {LARGEST} bytes")
    return body


def _keys_in(document: bytes) -> dict[str, SigningKey]:
    """The public keys by their ids; secret ones, and those that are not for signatures, are left out."""
    rows = [
        row
        for row in msgspec.json.decode(document)["keys"][:MOST_KEYS]
        if row.get("kty") in ("RSA", "EC", "OKP") and row.get("use", "sig") == "sig"
    ]
    keys = cast("list[Any]", KeySet.import_key_set({"keys": rows}).keys)
    return {key.kid or "": key for key in keys if isinstance(key, (RSAKey, ECKey, OKPKey))}


def _key_id(token: bytes) -> str:
    """The id of the key that the token says it is signed with; empty when it says none. Raises a Refusal (401)."""
    first, _, rest = token.partition(b".")
    if len(token) > LONGEST or rest.count(b".") != 1:
        raise wrong_key()
    try:
        header: Any = msgspec.json.decode(binascii.a2b_base64(first.translate(URL_SAFE) + b"=="))
    except (ValueError, RecursionError):
        raise wrong_key() from None
    if not isinstance(header, dict) or cast("dict[str, Any]", header).get("alg") not in ALGORITHMS:
        raise wrong_key()
    id_ = cast("dict[str, Any]", header).get("kid", "")
    if not isinstance(id_, str):
        raise wrong_key()
    return id_


URL_SAFE = bytes.maketrans(b"-_", b"+/")
