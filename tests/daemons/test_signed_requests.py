"""Requests that callers sign (RFC 9421): what counts, and that nothing can be changed, left out or sent again."""

from __future__ import annotations

import random
import time
from base64 import b64decode
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from http_message_signatures.exceptions import InvalidSignature
from msgspec import structs

from core.api_keys import Role
from daemons.process.guard.refusals import Refusal
from daemons.process.guard.signed_requests import HeaderLines, SignedRequest, request_of, verifier
from daemons.process.key_ring import KeyRing
from tests.support.signing import BODY, COVERED, KEY_ID, URL, SigningKeys, ask, scope_of, signed

SEED = 20_261_127
UNKNOWN_ALGORITHM = """
-----BEGIN PUBLIC KEY-----
MCowBQYDKgMEAyEAAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
-----END PUBLIC KEY-----
"""


@pytest.fixture
def keys() -> SigningKeys:
    return SigningKeys()


@pytest.fixture
async def ring(keys: SigningKeys) -> KeyRing:
    ring = KeyRing(None)
    await ring.look(cast("Any", keys))
    return ring


async def refused(ring: KeyRing, request: httpx.Request, **changed: Any) -> tuple[str, str]:
    with pytest.raises(Refusal) as error:
        await ask(ring, request, **changed)
    assert error.value.status == 401, str(error.value)
    assert dict(error.value.headers(b""))[b"www-authenticate"].startswith(b"Bearer")
    return error.value.code, str(error.value)


@pytest.mark.parametrize(
    ("arguments", "terms"),
    [
        ((), {}),
        (("GET", URL, None), {}),
        (("GET", "http://desk.example/", None), {}),
        (("GET", "https://desk.example:443/", None), {"covered_component_ids": ("@method", "@target-uri")}),
        ((), {"covered_component_ids": ("content-type", *COVERED), "headers": {"Content-Type": "application/json"}}),
        ((), {"created": -50, "expires": 9}),
        ((), {"include_alg": False, "label": "mine", "tag": "an-app"}),
        ((), {"covered_component_ids": (*COVERED, "idempotency-key"), "headers": {"Idempotency-Key": "x"}}),
    ],
)
async def test_a_request_that_is_signed_as_it_should_be_counts_for_its_caller(
    ring: KeyRing, arguments: Any, terms: Any
) -> None:
    request = signed(*arguments, **terms)
    caller, body = await ask(ring, request)
    assert (caller.name, caller.role, caller.key_id) == ("shop", Role.OPERATOR, KEY_ID[3:])
    assert body == request.content


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"method": "PUT"}, "something else was signed"),
        ({"raw_path": b"/api/v1/orders/"}, "something else was signed"),
        ({"query_string": b""}, "something else was signed"),
        ({"body": BODY.replace(b"1", b"2")}, "does not match the message body"),
        ({"body": b""}, "does not match the message body"),
    ],
)
async def test_what_was_changed_on_the_way_is_refused(ring: KeyRing, change: dict[str, Any], says: str) -> None:
    code, sentence = await refused(ring, signed(), **change)
    assert (code, says in sentence) == ("signature_not_valid", True), sentence


@pytest.mark.parametrize("header", ["Idempotency-Key", "If-Match", "Orderdeck-Actor"])
async def test_headers_that_change_what_a_request_does_cannot_be_added_changed_or_removed(
    ring: KeyRing, header: str
) -> None:
    plain = signed()
    plain.headers[header] = "x"
    assert await refused(ring, plain) == (
        "signature_incomplete",
        f"the signature of this request is not complete: it does not cover {header.lower()}",
    )
    covered = signed(headers={header: "x"}, covered_component_ids=(*COVERED, header.lower()))
    covered.headers[header] = "y"
    assert (await refused(ring, covered))[0] == "signature_not_valid"
    del covered.headers[header]
    assert "not found in the message" in (await refused(ring, covered))[1]


@pytest.mark.parametrize(
    ("terms", "missing"),
    [
        ({"covered_component_ids": ("@method", "@path", "@query")}, "it does not cover @authority"),
        ({"covered_component_ids": ("@authority", "@path")}, "it does not cover @method, @query"),
        ({"covered_component_ids": ("@target-uri",)}, "it does not cover @method"),
        ({"nonce": None}, "it needs a nonce of 16 to 100 characters"),
        ({"nonce": "short"}, "it needs a nonce of 16 to 100 characters"),
        ({"nonce": "n" * 101}, "it needs a nonce of 16 to 100 characters"),
    ],
)
async def test_what_a_signature_lacks_is_named(ring: KeyRing, terms: dict[str, Any], missing: str) -> None:
    code, sentence = await refused(ring, signed(**terms))
    assert (code, sentence.endswith(missing)) == ("signature_incomplete", True), sentence


async def test_a_body_without_a_digest_is_refused_and_so_is_half_a_signature(ring: KeyRing) -> None:
    bare = signed(body=None)
    code, sentence = await refused(ring, bare, body=BODY)
    assert (code, "does not cover Content-Digest" in sentence) == ("signature_incomplete", True)
    for header in ("Signature", "Signature-Input"):
        half = signed()
        del half.headers[header]
        assert await refused(ring, half) == (
            "signature_incomplete",
            f"the signature of this request is not complete: the header {header} is missing",
        )


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"created": -300}, "age exceeds"),
        ({"created": 300}, "in the future"),
        ({"created": -600, "expires": -300}, "in the past"),
        ({"created": -1_500_000_000}, "age exceeds"),
        ({"private": Ed25519PrivateKey.generate()}, "its key is not known here"),
        ({"key_id": "od_jihgfedcba"}, "its key is not known here"),
        ({"key_id": "abcdefghij"}, "its key is not known here"),
        ({"key_id": ""}, "its key is not known here"),
        ({"label": "l" * 2_000}, "longer than 2000 bytes"),
    ],
)
async def test_what_does_not_count_is_refused_without_a_word_of_the_key(
    ring: KeyRing, terms: dict[str, Any], says: str
) -> None:
    code, sentence = await refused(ring, signed(**terms))
    assert (code, says in sentence) == ("signature_not_valid", True), sentence


async def test_a_request_counts_once_and_only_while_its_key_is_valid(ring: KeyRing, keys: SigningKeys) -> None:
    request = signed()
    keys.away = True
    with pytest.raises(Refusal) as away:
        await ask(ring, request)
    assert away.value.status == 503
    keys.away = False
    await ask(ring, request)
    assert (await refused(ring, request))[0] == "signature_used"
    await ask(ring, signed(nonce="another one that is long"))
    keys.keys.clear()
    await ring.look(cast("Any", keys))
    assert (await refused(ring, signed(nonce="a third one that is long")))[0] == "signature_not_valid"


@pytest.mark.parametrize("text", ["none", UNKNOWN_ALGORITHM])
async def test_a_public_key_that_cannot_be_read_opens_nothing_and_hinders_no_other_key(
    keys: SigningKeys, text: str
) -> None:
    keys.keys.insert(0, structs.replace(keys.keys[0], id="jihgfedcba", public_key=text))
    ring = KeyRing(None)
    await ring.look(cast("Any", keys))
    assert (await ask(ring, signed()))[0].name == "shop"
    assert (await refused(ring, signed(key_id="od_jihgfedcba")))[0] == "signature_not_valid"


async def test_a_key_without_a_secret_opens_nothing_when_it_is_shown(ring: KeyRing) -> None:
    for shown in (KEY_ID, f"{KEY_ID}_{'0' * 64}", f"{KEY_ID}_"):
        with pytest.raises(Refusal) as error:
            await ring.admit(f"Bearer {shown}".encode(), 8080)
        assert error.value.status == 401
        assert (error.value.code == "signature_incomplete") is (shown == KEY_ID)


HOSTILE: tuple[tuple[str, str], ...] = (
    ("", ""), ("sig", "sig"), ("sig=()", "sig=::"), ("sig=1", "sig=:AAAA:"), ("sig=();keyid=1", "sig=:AAAA:"),
    ('sig=("@method");created=1.5;keyid="x"', "sig=:AAAA:"), ("sig=(1 2);created=1", "sig=:AAAA:"),
    ('sig=("@method");created=100000000000000;keyid="x"', "sig=:AAAA:"),
    ("sig=();created=-9999999999", "sig=:AAAA:"),
    ('sig=("@method");created=NOW;expires=100000000000000;keyid="x";nonce="y"', "sig=:AAAA:"),
    ('sig=("@status");created=NOW;keyid="x"', "sig=:AAAA:"),
    ('sig=("@nothing" "x" "cookie");created=NOW;keyid="x"', "sig=:AAAA:"),
    ('sig=("@signature-params");created=NOW;keyid="x"', "sig=:AAAA:"),
    ('sig=("@query-param");created=NOW;keyid="x"', "sig=:AAAA:"),
    ('sig=("host";bs;sf;key=1);created=NOW;keyid="x"', "sig=:AAAA:"),
    ("a=(), b=()", "a=:AAAA:, b=:AAAA:"), ("sig=()\xff", "sig=:AAAA:"), ("(" * 1_990, ")" * 1_990),
    ('sig=("\\")', "sig=:AAAA:"), ("x" * 60_000, "y"), ("sig=?1", "sig=?0"), ('sig=%"x"', "sig=@1"),
)  # fmt: skip


async def test_hostile_signatures_are_refused(ring: KeyRing) -> None:
    for input_, signature in HOSTILE:
        scope = scope_of(signed())
        kept = [line for line in scope["headers"] if not line[0].startswith(b"signature")]
        named = input_.replace("NOW", str(int(time.time()))).encode("latin-1")
        sent = [(b"signature-input", named), (b"signature", signature.encode()), *kept]
        assert (await refused(ring, signed(), headers=sent))[0] == "signature_not_valid", input_


async def test_two_signatures_and_another_algorithm_are_refused(ring: KeyRing) -> None:
    request = signed()
    request.headers["Signature-Input"] += ", " + request.headers["Signature-Input"].replace("pyhms=", "other=")
    request.headers["Signature"] += ", " + request.headers["Signature"].replace("pyhms=", "other=")
    assert "ultiple signatures" in (await refused(ring, request))[1]
    for name in ("hmac-sha256", "rsa-v1_5-sha256", "none", "ED25519"):
        request = signed()
        request.headers["Signature-Input"] = request.headers["Signature-Input"].replace('"ed25519"', f'"{name}"')
        assert "algorithm" in (await refused(ring, request))[1]


async def test_a_signature_with_one_byte_changed_never_counts(ring: KeyRing) -> None:
    choice = random.Random(SEED)
    for _ in range(300):
        request = signed()
        header = choice.choice(["Signature-Input", "Signature"])
        right = request.headers[header].encode()
        place = choice.randrange(right.index(b"="), len(right))
        changed = right[:place] + bytes([choice.choice([c for c in range(32, 127) if c != right[place]])])
        request.headers[header] = (changed + right[place + 1 :]).decode()
        code, _ = await refused(ring, request)
        assert code in ("signature_not_valid", "signature_incomplete"), request.headers


def test_the_example_of_the_rfc_counts_as_it_is_and_not_when_it_is_changed() -> None:
    """RFC 9421, B.2.6, with the key test-key-ed25519 of B.1.4."""
    der = b64decode("MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")
    parameters = '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473'
    signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    headers = {
        "host": "example.com",
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "content-type": "application/json",
        "content-length": "18",
        "signature-input": f'sig-b26={parameters};keyid="test-key-ed25519"',
        "signature": f"sig-b26=:{signature}:",
    }
    scope: dict[str, Any] = {
        "method": "POST",
        "scheme": "https",
        "raw_path": b"/foo",
        "query_string": b"param=Value&Pet=dog",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    known = {"test-key-ed25519": load_der_public_key(der)}
    checking = verifier(cast("Callable[[str], Any]", known.get))
    assert checking.verify(request_of(scope), max_age=None)[0].parameters["keyid"] == "test-key-ed25519"
    for change in ({"method": "PUT"}, {"raw_path": b"/fop"}):
        with pytest.raises(InvalidSignature):
            checking.verify(request_of(scope | change), max_age=None)
    lines = HeaderLines([(b"date", b"Tue, 20 Apr 2021 02:07:56 GMT"), *scope["headers"][2:], scope["headers"][0]])
    with pytest.raises(InvalidSignature):
        checking.verify(SignedRequest("POST", "https://example.com/foo", lines), max_age=None)
