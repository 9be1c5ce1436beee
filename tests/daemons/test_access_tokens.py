"""Access tokens of a real small issuer: whose they are, which role they give, and what never opens anything."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from core.api_keys import Role
from core.errors import ConfigurationError
from core.settings import Settings, load_settings
from daemons.process.access_tokens import ASK_EVERY, FRESH, KEPT, AccessTokens
from daemons.process.guard.refusals import Refusal
from daemons.process.key_ring import KeyRing
from tests.support.issuer import Issuer

PORT = 8080


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


def tokens_of(issuer: Issuer, clock: Clock | None = None, **more: Any) -> AccessTokens:
    roles = "desk-admins=admin, desk=operator, staff=viewer"
    settings = Settings(home=Path("/nowhere"), require_keys=True, oidc_issuer=issuer.url, oidc_roles=roles, **more)
    return AccessTokens(settings, monotonic=clock or Clock())


async def refused(tokens: AccessTokens, token: str | bytes) -> int:
    with pytest.raises(Refusal) as error:
        await tokens.caller(token if isinstance(token, bytes) else token.encode())
    return error.value.status


async def test_a_token_names_a_person_and_gives_the_highest_of_its_roles(issuer: Issuer) -> None:
    tokens = tokens_of(issuer)
    caller = await tokens.caller(issuer.token().encode())
    assert (caller.name, caller.role, caller.speaks_for_others) == ("oidc:ana", Role.OPERATOR, False)
    for roles, role in (
        (["staff"], Role.VIEWER), (["staff", "desk-admins", "desk"], Role.ADMIN), ("other staff", Role.VIEWER),
    ):  # fmt: skip
        assert (await tokens.caller(issuer.token(roles=roles).encode())).role is role
    for nothing in ([], ["other"], None, 5, {"desk": 1}, [["desk"], 7], "Desk"):
        assert await refused(tokens, issuer.token(roles=nothing)) == 403
    assert (await tokens.caller(issuer.token(aud=["other", "orderdeck"]).encode())).name == "oidc:ana"
    deep = tokens_of(issuer, oidc_roles_claim="realm_access.roles", oidc_name_claim="preferred_username")
    claims = {"realm_access": {"roles": ["staff"]}, "preferred_username": "Ana María"}
    caller = await deep.caller(issuer.token(**claims).encode())
    assert (caller.name, caller.role) == ("oidc:Ana María", Role.VIEWER)
    assert issuer.asked == 2  # each of the two services, once


async def test_a_token_that_is_not_for_us_or_not_now_opens_nothing(issuer: Issuer) -> None:
    tokens, now = tokens_of(issuer), int(time.time())
    wrong: tuple[dict[str, Any], ...] = (
        {"iss": "https://evil.example"}, {"iss": None}, {"aud": "other"}, {"aud": None}, {"aud": []}, {"sub": None},
        {"exp": now - 60}, {"exp": None}, {"exp": "tomorrow"}, {"exp": True}, {"nbf": now + 300}, {"iat": "x"},
        {"sub": "a\u202eb"}, {"sub": ""}, {"sub": "x" * 91}, {"sub": 7},
    )  # fmt: skip
    for changed in wrong:
        assert await refused(tokens, issuer.token(**changed)) == 401, changed
    caller = await tokens.caller(issuer.token(exp=now + 60).encode())
    assert 0 < caller.until - Clock.now <= 91  # of a live stream too


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_no_trick_with_algorithms_or_keys_opens_anything(issuer: Issuer) -> None:
    tokens, right = tokens_of(issuer), issuer.token()
    header, claims, signature = right.split(".")
    strange = RSAKey.generate_key(2048)
    signed = f"{part({'alg': 'HS256', 'kid': 'first'})}.{claims}"  # by the public key, which everybody can read
    mac = hmac.digest(issuer.keys[0].as_pem(private=False), signed.encode(), "sha256")
    forged = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    own = strange.as_dict(private=False) | {"kid": "first"}
    for token in (
        f"{part({'alg': 'none', 'kid': 'first'})}.{claims}.", f"{part({'alg': 'None', 'kid': 'first'})}.{claims}.x",
        f"{header}.{claims}.", f"{header}.{claims}", f"{header}.{part(issuer.claims(sub='boss'))}.{signature}",
        f"{part({'alg': 'RS256'})}.{claims}.{signature}", f"{part({'alg': ['RS256'], 'kid': 'first'})}.{claims}.x",
        f"{part({'alg': 'RS256', 'kid': {'a': 1}})}.{claims}.x", f"{part([1])}.{claims}.x", f"x{right}", right + "=",
        f"{right}.{signature}", "..", "a.b.c", "\xe9.\xe9.\xe9", "." * 3_000, f"{header}.{'A' * 9_000}.{signature}",
        part([[]] * 1_000) + ".x.x", forged,
        jwt.encode({"alg": "RS256", "kid": "first", "jwk": own}, issuer.claims(), strange, algorithms=["RS256"]),
        jwt.encode({"alg": "RS256", "kid": "first"}, issuer.claims(), strange, algorithms=["RS256"]),
        right[:-8] + "AAAAAAAA", right.replace(".", ".."), json.dumps(issuer.claims()),
    ):  # fmt: skip
        assert await refused(tokens, token.encode("latin-1")) == 401, token
    assert (await tokens.caller(right.encode())).name == "oidc:ana"


async def test_new_keys_of_the_issuer_are_found_and_strangers_cannot_have_it_asked_often(issuer: Issuer) -> None:
    clock = Clock()
    tokens = tokens_of(issuer, clock)
    await tokens.caller(issuer.token().encode())
    issuer.add_key("second", ECKey.generate_key("P-256"))
    for number in range(20):
        assert await refused(tokens, issuer.token(header={"kid": f"made-up-{number}"})) == 401
    assert issuer.asked == 1
    clock.now += ASK_EVERY + 1
    assert (await tokens.caller(issuer.token(key=1).encode())).name == "oidc:ana"
    assert issuer.asked == 2
    old = issuer.token()
    del issuer.keys[0]
    clock.now += FRESH + 1
    assert await refused(tokens, old) == 401  # its key was withdrawn


async def test_while_the_issuer_is_away_known_keys_count_and_nobody_is_told_that_a_token_is_wrong(
    issuer: Issuer,
) -> None:
    clock = Clock()
    tokens = tokens_of(issuer, clock)
    issuer.away = True
    assert await refused(tokens, issuer.token()) == 503
    assert await refused(tokens, "no.token.at-all") == 401
    issuer.away = False
    clock.now += ASK_EVERY + 1
    await tokens.caller(issuer.token().encode())
    issuer.away = True
    clock.now += KEPT - 1
    await tokens.caller(issuer.token().encode())
    assert await refused(tokens, issuer.token(header={"kid": "newer"})) == 503
    clock.now += 2
    assert await refused(tokens, issuer.token()) == 503


async def test_a_service_takes_tokens_beside_keys(issuer: Issuer) -> None:
    ring = KeyRing(None, tokens=tokens_of(issuer))
    assert (await ring.admit(b"Bearer " + issuer.token().encode(), PORT)).name == "oidc:ana"
    with pytest.raises(Refusal) as error:
        await KeyRing(None).admit(b"Bearer " + issuer.token().encode(), PORT)
    assert error.value.status == 401


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"oidc_issuer": "https://id.example"}, "needs ORDERDECK_REQUIRE_KEYS=true, and ORDERDECK_OIDC_ROLES"),
        ({"oidc_issuer": "http://id.example"}, "must begin with https://"),
        ({"oidc_jwks_url": "file:///etc/passwd"}, "must begin with https://"),
        ({"oidc_roles": "desk=king"}, "must be a name and one of viewer, operator, admin"),
        ({"oidc_roles": "=admin"}, "must be a name and one of"),
    ],
)
def test_an_issuer_that_nobody_can_trust_is_refused_at_the_start(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        load_settings(**settings)
