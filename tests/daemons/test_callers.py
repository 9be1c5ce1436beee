"""The two APIs where keys are needed, as real processes: strangers, roles, names in events, revocation, the command.

Both, and one database, serve all tests of this file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from http_message_signatures import algorithms
from http_message_signatures.resolvers import MappingKeyResolver
from http_message_signatures.signatures import HTTPMessageSigner

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.caddy import caddy_before
from tests.support.command_api import ORDER
from tests.support.keyed_desk import KeyedDesk, keyed_desk
from tests.support.raw_http import request, send
from tests.support.stack import ROOT, until

REVOKED_WITHIN = 2.0  # seconds; the promise is 1, and this machine may be busy
JSON = "Content-Type: application/json"


@pytest.fixture(scope="module")
def desk(postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedDesk]:
    with keyed_desk(postgres, template, tmp_path_factory.mktemp("home")) as desk:
        yield desk


@pytest.fixture(scope="module")
def keys(desk: KeyedDesk) -> dict[str, str]:
    return {role: desk.make_key(f"the-{role}", role) for role in ("viewer", "operator", "admin")}


def test_a_stranger_gets_401_on_everything_but_health(desk: KeyedDesk) -> None:
    paths = ["/ready", "/metrics", "/docs", "/openapi.json", "/nothing", "/", "//health", "/health/", "/healthz"]
    paths += ["/api/v1/orders", "/api/v1/events/stream", "/api/v1/admin/keys", "/api/v1/stats?x", "/%2e%2e/health"]
    for daemon in (desk.commands, desk.queries):
        for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS"):
            for path in [*paths, "*"] if method == "OPTIONS" else paths:
                answer = send(daemon.port, request(method, path))
                assert answer.status == 401, (method, path)
                assert answer.headers["www-authenticate"].startswith("Bearer realm=")
                assert method == "HEAD" or answer.code == "key_missing"
        assert send(daemon.port, request("GET", "/health")).status == 200
        told = send(daemon.port, request("GET", "/health?ready")).document
        assert told == {"status": "ready"}
    body = json.dumps(ORDER).encode()
    assert send(desk.commands.port, request("POST", "/api/v1/orders", JSON, body=body)).status == 401


def test_hostile_headers_are_refused_and_never_break_a_service(desk: KeyedDesk, keys: dict[str, str]) -> None:
    right = keys["admin"]
    for line in (
        f"Authorization: {right}", f"Authorization: Basic {right}", "Authorization: Bearer \xe9\xff",
        f"Authorization: Bearer {right}\x01", f"Authorization : Bearer {right}",
        "Authorization: Bearer " + "a" * 40_000,
        f"Authorization: Bearer {right}\r\nAuthorization: Bearer {right}", f"Authorization:\tBearer {right[:-1]}",
        "\r\n".join(["Authorization: Bearer x"] * 60), f"Proxy-Authorization: Bearer {right}", f"Cookie: key={right}",
        f"X-Api-Key: {right}",
    ):  # fmt: skip
        assert send(desk.queries.port, request("GET", "/api/v1/stats", line)).status in (400, 401), line
    assert desk.ask("GET", f"/api/v1/stats?key={right}").status_code == 401
    assert desk.ask("GET", "/api/v1/stats", right).status_code == 200


def test_a_key_opens_what_its_role_may_do(desk: KeyedDesk, keys: dict[str, str]) -> None:
    rebuild = ("POST", "/api/v1/admin/rebuilds", {"group": "orders"})
    assert desk.ask("GET", "/api/v1/orders", keys["viewer"]).status_code == 200
    for role, key in keys.items():
        at, shown = f"http://127.0.0.1:{desk.commands.port}/api/v1/caller", {"Authorization": f"Bearer {key}"}
        seen = httpx.get(at, headers=shown, trust_env=False)
        assert (seen.status_code, seen.json()) == (200, {"caller": f"the-{role}", "role": role, "routes": []})
    refused = desk.ask("POST", "/api/v1/orders", keys["viewer"], ORDER)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_too_low")
    assert refused.headers["content-type"] == "application/problem+json"
    assert "the-viewer has viewer" in refused.json()["error"]
    placed = desk.ask("POST", "/api/v1/orders", keys["operator"], ORDER)
    assert placed.status_code == 201
    order = f"/api/v1/orders/{placed.json()['order_id']}"
    assert desk.ask("PUT", f"{order}/cancel", keys["viewer"], {"reason": "x"}).status_code == 403
    assert desk.ask(rebuild[0], rebuild[1], keys["operator"], rebuild[2]).status_code == 403
    assert desk.ask(rebuild[0], f"{rebuild[1]}?dry_run=true", keys["admin"], rebuild[2]).status_code == 200
    for path in ("/api/v1/admin/keys", "//api/v1//admin/keys/", "/api/v1/admin%2Fkeys", "/api/v1/%61dmin/keys"):
        for role in ("viewer", "operator"):
            assert desk.ask("GET", path, keys[role]).status_code in (403, 404), path
    listed = desk.ask("GET", "/api/v1/admin/keys", keys["admin"])
    assert {"the-viewer", "the-operator", "the-admin"} <= {key["caller"] for key in listed.json()["keys"]}
    assert not any(key in listed.text or key.rpartition("_")[2] in listed.text for key in keys.values())


def test_events_name_the_caller_unless_the_caller_may_speak_for_others(desk: KeyedDesk, keys: dict[str, str]) -> None:
    speaker = desk.make_key("the-gateway", "operator", "--speaks-for-others")

    def actor(key: str, **headers: str) -> str:
        placed = desk.ask("POST", "/api/v1/orders", key, ORDER, **headers).json()
        events = desk.ask("GET", f"/api/v1/orders/{placed['order_id']}/events", keys["viewer"]).json()["events"]
        return events[0]["metadata"]["user_id"]

    assert actor(keys["operator"], Orderdeck_Actor="the-boss") == "the-operator"
    assert actor(speaker, Orderdeck_Actor="the-boss") == "the-boss"
    assert actor(speaker) == "the-gateway"
    same = {"Idempotency_Key": "same-key"}
    first = desk.ask("POST", "/api/v1/orders", keys["operator"], ORDER, **same)
    again = desk.ask("POST", "/api/v1/orders", keys["operator"], ORDER, **same)
    others = desk.ask("POST", "/api/v1/orders", speaker, ORDER, **same, Orderdeck_Actor="the-operator")
    assert first.json()["order_id"] == again.json()["order_id"] != others.json()["order_id"]


def test_an_admin_makes_replaces_and_revokes_keys_over_http(desk: KeyedDesk, keys: dict[str, str]) -> None:
    body = {"caller": "prometheus", "role": "viewer", "routes": ["GET /metrics"], "expires_in": "90d"}
    made = desk.ask("POST", "/api/v1/admin/keys", keys["admin"], body)
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    assert (made.json()["created_by"], made.json()["routes"]) == ("the-admin", ["GET /metrics"])
    scraper = made.json()["key"]
    assert desk.ask("GET", "/metrics", scraper).status_code == 200
    assert desk.ask("GET", "/ready", scraper).status_code == 403
    assert desk.ask("GET", "/api/v1/orders", scraper).json()["code"] == "route_not_allowed"
    place = f"/api/v1/admin/keys/{made.json()['id']}"
    new = desk.ask("POST", f"{place}/rotate", keys["admin"], {"overlap": "1h"})
    assert new.status_code == 201
    assert [desk.ask("GET", "/metrics", key).status_code for key in (scraper, new.json()["key"])] == [200, 200]
    assert desk.ask("POST", f"{place}/rotate", keys["admin"], {}).status_code == 400  # it has two already
    revoked = desk.ask("POST", f"{place}/revoke", keys["admin"])
    assert (revoked.status_code, revoked.json()["state"], revoked.json()["revoked_by"]) == (200, "revoked", "the-admin")
    assert [desk.ask("GET", "/metrics", key).status_code for key in (scraper, new.json()["key"])] == [401, 200]
    assert desk.ask("GET", place, keys["admin"]).json()["state"] == "revoked"
    for wrong in ({"caller": "x", "role": "god"}, {"caller": "x"}, {"role": "viewer", "caller": "home"}, []):
        assert desk.ask("POST", "/api/v1/admin/keys", keys["admin"], wrong).status_code == 400
    assert desk.ask("POST", "/api/v1/admin/keys/unknown/revoke", keys["admin"]).status_code == 404
    assert desk.ask("POST", "/api/v1/admin/keys?dry_run=true", keys["admin"], body).status_code == 400


def test_a_live_stream_ends_soon_after_its_key_is_revoked(desk: KeyedDesk) -> None:
    key = desk.make_key("the-follower", "viewer")
    url = f"http://127.0.0.1:{desk.queries.port}/api/v1/events/stream"
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.stream("GET", url, headers=headers, trust_env=False, timeout=20) as live:
        assert live.status_code == 200
        assert desk.orderdeck("keys", "revoke", key.split("_")[1]).returncode == 0
        began = time.monotonic()
        assert list(live.iter_raw()) is not None  # the response ends by itself, as it should
        assert time.monotonic() - began < REVOKED_WITHIN
    assert desk.ask("GET", "/api/v1/stats", key).status_code == 401


def test_the_command_shows_the_key_of_its_home_or_one_of_its_own(
    desk: KeyedDesk, keys: dict[str, str], tmp_path: Path
) -> None:
    assert desk.orderdeck("events", "--json").returncode in (0, 3)  # by the home's key, as caller `home`
    assert desk.orderdeck("saga", "list", "--json").returncode == 0
    nothing = desk.orderdeck("saga", "retry", "00000000-0000-0000-0000-000000000000", "--reason", "x")
    assert "key" not in nothing.stderr, "the command that steers sagas shows the key too"
    strange = {"ORDERDECK_HOME": str(tmp_path)}
    refused = desk.orderdeck("events", **strange)
    assert (refused.returncode, "this needs a key" in refused.stderr) == (1, True)
    assert desk.orderdeck("events", "--json", **strange, ORDERDECK_API_KEY=keys["viewer"]).returncode == 0
    file = tmp_path / "key"
    file.write_text(keys["operator"] + "\n")
    file.chmod(0o644)
    wide = desk.orderdeck("events", **strange, ORDERDECK_API_KEY_FILE=str(file))
    assert wide.returncode == 1
    assert "run chmod 600" in wide.stderr
    file.chmod(0o600)
    assert desk.orderdeck("events", "--json", **strange, ORDERDECK_API_KEY_FILE=str(file)).returncode == 0
    denied = desk.orderdeck("rebuild", "orders", **strange, ORDERDECK_API_KEY_FILE=str(file))
    assert "this needs the role admin, and the-operator has operator" in denied.stderr
    for done in (refused, wide, denied):
        assert len(done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr
        assert not any(key in done.stderr + done.stdout for key in keys.values())


def test_a_stranger_signs_requests_with_the_program_of_the_how_to_word_for_word(
    desk: KeyedDesk, keys: dict[str, str], tmp_path: Path
) -> None:
    page = (ROOT / "docs/how-to/sign-requests.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    [make_pair] = re.findall(r"```\n(openssl.*?)```", page, re.DOTALL)
    subprocess.run(["/bin/sh", "-ec", make_pair], cwd=tmp_path, check=True, capture_output=True)
    key_id = desk.make_key("shop", "operator", "--public-key", str(tmp_path / "shop.pub"))
    assert re.fullmatch("od_[a-z2-7]{10}", key_id)
    env = desk.env | {
        "KEY_ID": key_id,
        "ORDERDECK_COMMAND_URL": f"http://localhost:{desk.commands.port}",
        "ORDERDECK_QUERY_URL": f"http://localhost:{desk.queries.port}",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("201 customer-1\n", 0), done.stderr
    placed = desk.audited(keys["admin"], caller="shop", action="POST /api/v1/orders")
    assert placed[0]["outcome"] == "done"
    private = desk.orderdeck("keys", "create", "x", "--role", "viewer", "--public-key", str(tmp_path / "shop.key"))
    assert "this is a private one" in private.stderr
    assert "signs its requests" in desk.orderdeck("keys", "list").stdout


def test_a_signed_request_is_not_taken_twice_and_what_fails_is_in_the_audit(
    desk: KeyedDesk, keys: dict[str, str]
) -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    body = {"caller": "signer", "role": "operator", "public_key": pem}
    made = desk.ask("POST", "/api/v1/admin/keys", keys["admin"], body).json()
    signer: Any = HTTPMessageSigner(
        signature_algorithm=cast("Any", algorithms).ED25519,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={made["key"]: private}),
    )
    order = httpx.Request("POST", f"http://127.0.0.1:{desk.commands.port}/api/v1/orders", json=ORDER)
    signer.sign(order, key_id=made["key"], nonce="a nonce of this test", body=order.content)
    with httpx.Client(trust_env=False, timeout=20) as http:
        assert http.send(order).status_code == 201
        again = http.send(order)
        assert (again.status_code, again.json()["code"]) == (401, "signature_used")
        assert again.headers["www-authenticate"].startswith("Bearer")
        order.headers["Idempotency-Key"] = "added on the way"
        assert http.send(order).json()["code"] == "signature_incomplete"
        rebuild = httpx.Request("POST", f"http://127.0.0.1:{desk.commands.port}/api/v1/admin/rebuilds")
        signer.sign(rebuild, key_id=made["key"], nonce="another nonce of this test")
        assert http.send(rebuild).json()["code"] == "role_too_low"
    for code in ("signature_used", "signature_incomplete"):
        until(lambda code=code: any(row["problem"] == code for row in desk.audited(keys["admin"], outcome="refused")))
    unsigned = desk.ask("GET", "/api/v1/stats", made["key"])
    assert (unsigned.status_code, "sign the request" in unsigned.json()["error"]) == (401, True)


def test_keys_are_listed_without_their_secrets(desk: KeyedDesk, keys: dict[str, str]) -> None:
    listed = desk.orderdeck("keys", "list", "--json")
    rows = {row["caller"]: row for row in json.loads(listed.stdout)["keys"]}
    assert (rows["the-admin"]["role"], rows["the-admin"]["state"]) == ("admin", "valid")
    assert rows["the-admin"]["last_used_at"] is not None
    assert not any(key.rpartition("_")[2] in listed.stdout for key in keys.values())
    plain = desk.orderdeck("keys", "list").stdout
    assert "the-viewer\tviewer\tvalid\tnever" in plain
    wrong = desk.orderdeck("keys", "create", "x", "--role", "viewer", "--expires", "soon")
    assert "--expires: must be a duration such as 90s" in wrong.stderr
    assert desk.orderdeck("keys", "revoke", "unknown").stderr.strip() == "orderdeck: there is no key unknown"


def test_a_caller_has_one_limit_for_all_its_keys_and_hears_of_it_in_every_answer(desk: KeyedDesk) -> None:
    first = desk.make_key("the-reader", "viewer")
    second = desk.make_key("the-reader", "viewer")
    told = desk.ask("GET", "/api/v1/stats", first)
    assert told.headers["ratelimit-policy"] == '"reads";q=5000;w=10'
    assert told.headers["ratelimit"].startswith('"reads";r=4999;t=')

    def follow(key: str) -> httpx.Response:
        url = f"http://127.0.0.1:{desk.queries.port}/api/v1/events/stream"
        with httpx.stream("GET", url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as live:
            if live.status_code != 200:
                live.read()
            return live

    assert [follow(key).status_code for key in (first, second, first)] == [200, 200, 200]
    refused = follow(second)
    assert (refused.status_code, refused.json()["violated-policies"]) == (429, ["feeds"])
    assert int(refused.headers["retry-after"]) in range(100, 201)
    assert desk.ask("GET", "/api/v1/stats", second).status_code == 200
    metrics = desk.ask("GET", "/metrics", first).text
    assert 'orderdeck_rate_limited_requests_total{limit="feeds"} 1.0' in metrics


def test_behind_a_proxy_the_clients_of_the_proxy_are_told_apart(
    desk: KeyedDesk, keys: dict[str, str], tmp_path: Path
) -> None:
    def through(proxy: int, address: str, key: str) -> httpx.Response:
        transport = httpx.HTTPTransport(local_address=address, verify=False)  # plain HTTP has no certificates
        headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": "192.0.2.77"}  # Caddy replaces it
        with httpx.Client(transport=transport, timeout=20) as http:
            return http.get(f"http://127.0.0.1:{proxy}/api/v1/stats", headers=headers)

    with caddy_before(desk.queries.port, tmp_path) as proxy:
        guesses = [through(proxy, "127.0.0.9", f"od_{number}").status_code for number in range(120)]
        assert guesses[:100] == [401] * 100
        assert 429 in guesses[100:]  # a slow run is given one more every 0.6 s
        assert through(proxy, "127.0.0.9", keys["viewer"]).status_code == 200
        assert through(proxy, "127.0.0.10", "od_wrong").status_code == 401
