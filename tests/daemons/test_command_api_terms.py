"""The terms of a command over HTTP: If-Match, dry runs, who gave it, and one meaning for its body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.domain.message import StreamId
from core.domain.order import OrderCancelled
from tests.support.command_api import ORDER, SHIPMENT, CommandApi, command_api, problem

REASON = {"reason": "changed my mind"}


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CommandApi]:
    async with command_api(postgres, template, tmp_path_factory.mktemp("api")) as ready:
        yield ready


def key() -> str:
    return str(uuid4())


# --- If-Match -----------------------------------------------------------------------------------------------
async def test_a_command_with_if_match_is_accepted_only_at_the_version_it_names(api: CommandApi) -> None:
    order_id = await api.placed_order()
    for wrong in ('"0"', '"2"', '"999999999"'):
        refused = await api.put(order_id, "confirm", If_Match=wrong)
        assert "the current version is 1" in problem(refused, 412, "precondition_failed")["error"]
        assert refused.headers["etag"] == '"1"'
    right = await api.put(order_id, "confirm", If_Match='"1"')
    assert (right.status_code, right.headers["etag"]) == (200, '"2"')
    assert (await api.put(order_id, "cancel", REASON, If_Match="*")).status_code == 200


async def test_one_of_many_commands_with_the_same_if_match_is_accepted(api: CommandApi) -> None:
    sku = f"MATCH-{key()}"
    answers = await asyncio.gather(*(api.receive(sku, {"quantity": 1}, If_Match='"0"') for _ in range(16)))
    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 15


@pytest.mark.parametrize("wrong", ["1", 'W/"1"', '"1", "2"', '"-1"', '"1.0"', '"9999999999"', "", '"\u0661"', '""'])
async def test_the_api_refuses_an_if_match_that_is_no_version(api: CommandApi, wrong: str) -> None:
    order_id = await api.placed_order()
    answer = await api.http.put(f"/api/v1/orders/{order_id}/confirm", headers={b"If-Match": wrong.encode()})
    problem(answer, 400, "validation_failed", "If-Match")


# --- dry run ------------------------------------------------------------------------------------------------
async def test_a_dry_run_shows_the_events_and_records_nothing(api: CommandApi) -> None:
    order_id, head, k = await api.fulfilled_order(), await api.head(), key()
    answers = [
        await api.http.post("/api/v1/orders?dry_run=true", json=ORDER, headers={"Idempotency-Key": k}),
        await api.put(order_id, "confirm", query="?dry_run=true"),
        await api.put(order_id, "cancel", REASON, "?dry_run=true"),
        await api.put(order_id, "ship", SHIPMENT, "?dry_run=TRUE"),
        await api.receive("DRY", {"quantity": 1}, "?dry_run=true"),
    ]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert not any("etag" in answer.headers for answer in answers)
    shown = [[event["event_type"] for event in answer.json()["events"]] for answer in answers]
    assert shown == [["OrderCreated"], [], ["OrderCancelled"], ["OrderShipped"], ["StockReplenished"]]
    assert answers[0].json()["events"][0]["payload"]["order_number"] == ""  # the order would get another one
    event = answers[3].json()["events"][0]
    assert (event["aggregate_id"], event["version"], event["position"]) == (order_id, 3, 0)
    assert event["payload"]["carrier"] == "UPS"
    assert await api.head() == head
    assert (await api.create(Idempotency_Key=k)).status_code == 201  # and its key is free


async def test_a_dry_run_is_refused_where_the_command_would_be(api: CommandApi) -> None:
    order_id, head = await api.placed_order(), await api.head()
    dry = "?dry_run=true"
    problem(await api.put(order_id, "deliver", query=dry, Idempotency_Key=key()), 400, "not_allowed")
    problem(await api.put(uuid4(), "confirm", query=dry), 404, "not_found")
    problem(await api.put(order_id, "confirm", query=dry, If_Match='"7"'), 412, "precondition_failed")
    problem(await api.put(order_id, "cancel", {"reason": ""}, dry), 400, "validation_failed", "reason")
    problem(await api.put(order_id, "ship", SHIPMENT, dry), 409, "fulfilment_not_finished")
    assert await api.head() == head


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?dryrun=true", "dryrun"),
        ("?dry_run=true&x=1", "x"),
        ("?Dry_run=true", "Dry_run"),
        ("?dry_run", "dry_run"),
        ("?dry_run=1", "dry_run"),
        ("?dry_run=yes", "dry_run"),
        ("?dry_run=true&dry_run=false", "dry_run"),
        ("?dry_run=%00", "dry_run"),
        ("?%ff=true", "query"),
        ("?strict=maybe", "strict"),
        ("?strict=true&strict=true", "strict"),
        ("?" + "&".join(["dry_run=true"] * 30), "query"),
    ],
)
async def test_a_command_with_a_wrong_query_parameter_is_refused_and_not_carried_out(
    api: CommandApi, query: str, field: str
) -> None:
    order_id = await api.placed_order()
    problem(await api.put(order_id, "confirm", query=query), 400, "validation_failed", field)
    assert await api.types(order_id) == ["OrderCreated"]
    assert (await api.put(order_id, "confirm", query="?dry_run=false")).status_code == 200


# --- who ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("actor", ["ann", "Jos\u00e9 \u00c1lvarez", "\u5c71\u7530"])
async def test_an_event_keeps_the_actor_and_the_request_id_of_its_command(api: CommandApi, actor: str) -> None:
    headers = {b"Orderdeck-Actor": actor.encode(), b"X-Request-Id": b"request 7"}
    answer = await api.http.post("/api/v1/orders", json=ORDER, headers=headers)
    (event,) = await api.store.load(StreamId(UUID(answer.json()["order_id"])))
    assert (event.metadata.user_id, event.metadata.request_id) == (actor, "request 7")


async def test_an_event_of_a_command_without_actor_and_request_id_has_neither(api: CommandApi) -> None:
    (event,) = await api.store.load(StreamId(UUID(await api.placed_order())))
    assert (event.metadata.user_id, event.metadata.request_id) == (None, None)


@pytest.mark.parametrize(("name", "longest"), [("Orderdeck-Actor", 100), ("X-Request-Id", 200)])
async def test_the_api_refuses_an_actor_or_request_id_that_is_unreadable(
    api: CommandApi, name: str, longest: int
) -> None:
    for wrong in ("x" * (longest + 1), "a\u0085b", "\u200b"):
        answer = await api.http.post("/api/v1/orders", json=ORDER, headers={name.encode(): wrong.encode()})
        problem(answer, 400, "validation_failed", name)
    answer = await api.http.post("/api/v1/orders", json=ORDER, headers={name: "x" * longest})
    assert answer.status_code == 201


# --- one meaning for a body ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"reason":"a","reason":"b"}', "reason"),
        ('{"reason" \t\r\n : "a","reason"  :"b"}', "reason"),
        ('{"reason":"a","reas\\u006fn":"b"}', "reason"),
        ('{"reason":"a","x":{"y":1,"y":2}}', "y"),
        ('{"reason":"a","x":[[{"y":1},{"y":1,"y":{"z":1}}]]}', "y"),
        ('{"reason":"a","x":{"y":{"z":1,"z":1}},"x":1}', "z"),
        ('{"reason":"a: b","reason":"a"}', "reason"),
        ('{"x":1,"x":1,"reason":"a"}', "x"),
    ],
)
async def test_the_api_refuses_a_body_that_gives_a_field_twice_at_any_depth(
    api: CommandApi, text: str, field: str
) -> None:
    answer = await api.http.put(
        f"/api/v1/orders/{uuid4()}/cancel", content=text, headers={"Content-Type": "application/json"}
    )
    assert "is given twice" in problem(answer, 400, "validation_failed", field)["error"]


@pytest.mark.parametrize("reason", ["a:b", ":", "::::", "\\u003a", '\\":\\"', "x:1,\\u0022reason\\u0022:2"])
async def test_the_api_accepts_a_text_with_colons_and_quotes_that_looks_like_a_repeated_field(
    api: CommandApi, reason: str
) -> None:
    order_id = await api.placed_order()
    text = f'{{"reason" : "{reason}", "x": {{"reason": ":", "y": {{"reason": [":"]}}}}}}'
    answer = await api.http.put(
        f"/api/v1/orders/{order_id}/cancel", content=text, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200, answer.text
    cancelled = (await api.store.load(StreamId(UUID(order_id))))[-1].event
    assert isinstance(cancelled, OrderCancelled)
    assert cancelled.reason == json.loads(f'"{reason}"')
