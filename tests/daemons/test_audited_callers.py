"""What the audit says of callers of the APIs and of the command: who was refused what, without secrets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.command_api import ORDER
from tests.support.keyed_desk import KeyedDesk, keyed_desk
from tests.support.raw_http import request, send

FULL = "/dev/full"  # a write to it finds no room


@pytest.fixture(scope="module")
def desk(postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedDesk]:
    with keyed_desk(postgres, template, tmp_path_factory.mktemp("home")) as desk:
        yield desk


@pytest.fixture(scope="module")
def keys(desk: KeyedDesk) -> dict[str, str]:
    return {role: desk.make_key(f"the-{role}", role) for role in ("viewer", "operator", "admin")}


def test_the_audit_says_who_was_refused_what(desk: KeyedDesk, keys: dict[str, str]) -> None:
    order = desk.ask("POST", "/api/v1/orders", keys["operator"], ORDER, X_Request_Id="asked-1").json()
    place = f"/api/v1/orders/{order['order_id']}"
    rows = desk.audited(keys["admin"], target=order["order_id"])
    assert [(row["action"], row["caller"], row["outcome"], row["status"]) for row in rows] == [
        ("POST /api/v1/orders", "the-operator", "done", 201)
    ]
    assert (rows[0]["request_id"], rows[0]["source"]) == ("asked-1", "127.0.0.1")
    assert rows[0]["event_position"] == order["position"]
    assert rows[0]["key_id"] == keys["operator"].split("_")[1]
    for key, path, body, status, problem in (
        (keys["viewer"], f"{place}/cancel", {"reason": "x"}, 403, "role_too_low"),
        (keys["operator"], f"{place}/deliver", None, 400, "order_rejected"),
        (keys["operator"], f"{place}/cancel", {}, 400, ""),
        (keys["operator"], f"/api/v1/orders/{UUID(int=7)}/cancel", {"reason": "x"}, 404, "not_found"),
    ):
        answer = desk.ask("PUT", path, key, body, X_Request_Id=f"refused-{status}-{problem}")
        assert answer.status_code == status, answer.text
        (row,) = desk.audited(keys["admin"], request_id=f"refused-{status}-{problem}")
        assert (row["outcome"], row["status"], row["problem"]) == ("refused", status, answer.json()["code"])
        assert row["action"] == f"PUT /api/v1/orders/{{order_id}}/{path.rpartition('/')[2]}"
        assert row["target"] == path.split("/")[4]
        assert row["key_id"] == key.split("_")[1]
    same = {"Idempotency_Key": "audited-once", "X_Request_Id": "sent-twice"}
    assert desk.ask("POST", "/api/v1/orders", keys["operator"], ORDER, **same).status_code == 201
    assert desk.ask("POST", "/api/v1/orders", keys["operator"], ORDER, **same).status_code == 201
    other = {**ORDER, "customer_id": "another"}
    assert desk.ask("POST", "/api/v1/orders", keys["operator"], other, **same).status_code == 422
    twice = desk.audited(keys["admin"], request_id="sent-twice", wanted=3)
    assert [(row["status"], row["event_position"] > 0) for row in reversed(twice)] == [
        (201, True), (201, False), (422, False)
    ]  # fmt: skip
    assert desk.ask("POST", "/api/v1/admin/rebuilds", keys["operator"], {"group": "orders"}).status_code == 403
    assert desk.ask("GET", "/api/v1/audit", keys["operator"]).status_code == 403
    for action, caller in (("POST /api/v1/admin/rebuilds", "the-operator"), ("GET /api/v1/audit", "the-operator")):
        row = desk.audited(keys["admin"], action=action, caller=caller, outcome="refused", source="127.0.0.1")[0]
        assert (row["status"], row["problem"]) == (403, "role_too_low")
    hook = desk.ask("POST", "/api/v1/admin/webhooks", keys["admin"], {"url": "https://shop.example"}).json()["id"]
    moved = {"url": "https://other.example/a-secret-path", "event_types": ["OrderShipped"]}
    assert desk.ask("POST", f"/api/v1/admin/webhooks/{hook}/change", keys["admin"], moved).status_code == 200
    assert desk.ask("POST", f"/api/v1/admin/webhooks/{hook}/remove", keys["admin"]).status_code == 200
    acts = [(row["action"], row["detail"]) for row in desk.audited(keys["admin"], target=hook, wanted=3)]
    assert acts == [
        ("POST /api/v1/admin/webhooks/{id}/remove", ""),
        ("POST /api/v1/admin/webhooks/{id}/change", "leads to other.example; gets OrderShipped"),
        ("POST /api/v1/admin/webhooks", ""),
    ]


def test_a_thousand_hostile_tokens_leave_few_rows_in_the_audit_and_no_secret(
    desk: KeyedDesk, keys: dict[str, str]
) -> None:
    last: dict[str, str] = {"action": "POST /api/v1/orders", "caller": "the-operator", "outcome": "refused"}
    refused = len(desk.audited(keys["admin"], wanted=0, **last))
    before = len(desk.audited(keys["admin"]))
    pieces = next(iter(keys.values()))
    for n in range(1_000):
        token = (pieces[: n % 70], f"od_{n}_x", "\x7f" * 9, f"eyJ{n}.eyJ.x", "' OR 1=1 --", pieces + "0")[n % 6]
        answer = send(desk.commands.port, request("POST", f"/api/v1/orders/{n}", f"Authorization: Bearer {token}"))
        assert answer.status in (400, 401, 429), token
    assert desk.ask("POST", f"/api/v1/admin/keys/{keys['viewer']}/revoke", keys["admin"]).status_code == 404
    assert desk.ask("POST", "/api/v1/orders", keys["operator"], {}, X_Request_Id=keys["admin"]).status_code == 400
    desk.audited(keys["admin"], wanted=refused + 1, **last)  # a process records its refusals in their order
    rows = desk.audited(keys["admin"])
    assert len(rows) - before < 10
    assert ("POST /api/v1/orders…", 401) in [(row["action"], row["status"]) for row in rows]
    whole = asyncio.run(desk.audit_in_full())
    assert "the-operator" in whole
    assert not any(key.rpartition("_")[2] in whole for key in keys.values())


def test_the_audit_has_what_the_command_did_on_the_machine_and_the_command_lists_it(
    desk: KeyedDesk, keys: dict[str, str]
) -> None:
    made = desk.make_key("the-newcomer", "viewer", "--expires", "90d")
    assert desk.orderdeck("keys", "revoke", made.split("_")[1]).returncode == 0
    assert desk.orderdeck("keys", "revoke", "unknown").returncode == 1
    listed = desk.orderdeck("audit", "--caller", "home", "--limit", "3", "--json")
    rows = json.loads(listed.stdout)["rows"]
    assert [(row["action"], row["outcome"], row["problem"]) for row in rows] == [
        ("orderdeck keys revoke", "refused", "NotFound"),
        ("orderdeck keys revoke", "done", ""),
        ("orderdeck keys create", "done", ""),
    ]
    assert rows[1]["target"] == rows[2]["target"] == f"the-newcomer {made.split('_')[1]}"
    assert "a key of viewer; ends after 90 days" in rows[2]["detail"]
    assert all(row["on_behalf_of"] and row["source"] for row in rows)
    starts = [row for row in desk.audited(keys["admin"], caller="daemon") if row["action"] == "start"]
    assert {row["target"] for row in starts} == {"command-api", "query-api"}
    plain = desk.orderdeck("audit", "--outcome", "refused", "--since", "-1h", "--limit", "1").stdout
    assert "orderdeck keys revoke" in plain
    assert desk.orderdeck("audit", "--caller", "nobody-at-all").returncode == 3
    assert desk.orderdeck("audit", "--since", "#12").returncode == 2


def test_an_admin_reads_the_settings_of_every_daemon_without_their_secrets(
    desk: KeyedDesk, keys: dict[str, str]
) -> None:
    assert desk.ask("GET", "/api/v1/admin/settings", keys["operator"]).status_code == 403
    answer = desk.ask("GET", "/api/v1/admin/settings", keys["admin"])
    runs = {run["process"]: run for run in answer.json()["runs"]}
    assert set(runs) == {"command-api", "query-api"}
    shown = runs["command-api"]["settings"]
    assert (shown["ORDERDECK_REQUIRE_KEYS"], shown["DATABASE_URL"]) == ("true", "(set)")
    assert "postgresql://" not in answer.text
    assert runs["query-api"]["ended_at"] is None


@pytest.mark.skipif(not Path(FULL).exists(), reason="needs a file that is always full")
def test_a_new_secret_that_the_command_cannot_show_is_taken_back(desk: KeyedDesk, keys: dict[str, str]) -> None:
    def states(caller: str) -> list[str]:
        listed = json.loads(desk.orderdeck("keys", "list", "--json").stdout)["keys"]
        return [key["state"] + (" and ends" if key["expires_at"] else "") for key in listed if key["caller"] == caller]

    shown = {"ORDERDECK_API_KEY": keys["admin"]}
    made = desk.printing_onto(FULL, "keys", "create", "unseen", "--role", "viewer")
    assert made.returncode == 1
    assert "No space left on device: nobody has seen the new key " in made.stderr
    assert made.stderr.endswith("so it is revoked\n")
    assert states("unseen") == ["revoked"]
    rows = desk.audited(keys["admin"], target=f"unseen {made.stderr.split()[-5].rstrip(',')}", wanted=2)
    assert [row["action"] for row in rows] == ["orderdeck keys revoke", "orderdeck keys create"]
    old = desk.make_key("turned", "viewer").split("_")[1]
    assert desk.printing_onto(FULL, "keys", "rotate", old, "--overlap", "0s", "--json").returncode == 1
    assert states("turned") == ["revoked", "valid"]
    assert desk.ask("GET", "/api/v1/admin/webhooks", keys["admin"]).json()["webhooks"] == []
    added = desk.printing_onto(FULL, "webhooks", "add", "https://shop.example", **shown)
    assert added.returncode == 1
    assert added.stderr.endswith("is removed\n")
    assert desk.ask("GET", "/api/v1/admin/webhooks", keys["admin"]).json()["webhooks"] == []
    hook = json.loads(desk.orderdeck("webhooks", "add", "https://shop.example", "--json", **shown).stdout)["id"]
    rotated = desk.printing_onto(FULL, "webhooks", "rotate", hook, **shown)
    assert rotated.returncode == 1
    assert rotated.stderr.endswith(f"`orderdeck webhooks rotate {hook}` makes another one\n")
    assert desk.orderdeck("webhooks", "rotate", hook, **shown).stdout.startswith("whsec_")
