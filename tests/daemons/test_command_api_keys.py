"""One answer for an Idempotency-Key over HTTP, however often, at once, or after a kill a command is sent again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.command_api import ORDER, SHIPMENT, CommandApi, command_api, problem

REASON = {"reason": "changed my mind"}
IDEMPOTENCY = "Idempotency-Key"


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CommandApi]:
    async with command_api(postgres, template, tmp_path_factory.mktemp("api")) as ready:
        yield ready


def key() -> str:
    return str(uuid4())


def is_replay(answer: httpx.Response, first: httpx.Response) -> None:
    assert answer.headers.get("idempotent-replayed") == "true"
    assert "idempotent-replayed" not in first.headers
    assert (answer.status_code, answer.content) == (first.status_code, first.content)
    for name in ("location", "etag", "content-type"):
        assert answer.headers.get(name) == first.headers.get(name)


async def test_every_command_sent_twice_with_one_key_is_carried_out_once_and_answered_the_same(api: CommandApi) -> None:
    order_id, sku, head = await api.fulfilled_order(), f"KEYED-{key()}", await api.head()
    calls: list[Any] = [
        lambda k: api.create(Idempotency_Key=k),
        lambda k: api.put(order_id, "confirm", Idempotency_Key=k),
        lambda k: api.put(order_id, "ship", SHIPMENT, Idempotency_Key=k),
        lambda k: api.put(order_id, "deliver", Idempotency_Key=k),
        lambda k: api.receive(sku, {"quantity": 2}, Idempotency_Key=k),
    ]
    for call in calls:
        k = key()
        first = await call(k)
        assert first.status_code in {200, 201}, first.text
        is_replay(await call(k), first)
        is_replay(await call(k), first)
    assert await api.head() == head + 4  # confirm was done already


async def test_a_key_in_quotes_is_the_same_key_as_without_quotes(api: CommandApi) -> None:
    k = key()
    first = await api.create(Idempotency_Key=k)
    is_replay(await api.create(Idempotency_Key=f'"{k}"'), first)


async def test_a_key_used_for_another_command_is_refused(api: CommandApi) -> None:
    k, order_id = key(), await api.placed_order()
    assert (await api.put(order_id, "cancel", REASON, Idempotency_Key=k)).status_code == 200
    problem(await api.put(order_id, "cancel", {"reason": "other"}, Idempotency_Key=k), 422, "key_reused")
    other = await api.placed_order()
    problem(await api.put(other, "cancel", REASON, Idempotency_Key=k), 422, "key_reused")
    assert await api.types(other) == ["OrderCreated"]
    assert (await api.put(order_id, "cancel", REASON, Idempotency_Key=k)).status_code == 200


async def test_the_same_key_on_another_route_or_from_another_actor_is_another_key(api: CommandApi) -> None:
    k, order_id = key(), await api.fulfilled_order()
    answers = [
        await api.create(Idempotency_Key=k),
        await api.create({**ORDER, "customer_id": "another"}, Idempotency_Key=k, Orderdeck_Actor="ann"),
        await api.put(order_id, "confirm", Idempotency_Key=k),
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 200]
    assert not any("idempotent-replayed" in answer.headers for answer in answers)


async def test_a_repeated_body_may_differ_in_spacing_field_order_and_unknown_fields(api: CommandApi) -> None:
    k = key()
    first = await api.create(Idempotency_Key=k)
    headers = {"Idempotency-Key": k, "Content-Type": "application/json; charset=utf-8"}
    text = json.dumps({"comment": 1, **dict(reversed(ORDER.items()))}, indent=4)
    is_replay(await api.http.post("/api/v1/orders", content=text, headers=headers), first)


async def test_duplicates_sent_at_once_record_one_event_and_get_the_same_answer(api: CommandApi) -> None:
    for _ in range(5):
        k, head = key(), await api.head()
        answers = await asyncio.gather(*(api.create(Idempotency_Key=k) for _ in range(16)))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
        assert await api.head() == head + 1


async def test_of_different_commands_sent_at_once_with_one_key_one_is_carried_out(api: CommandApi) -> None:
    k, head = key(), await api.head()
    orders = [{**ORDER, "customer_id": f"customer-{n}"} for n in range(8)]
    answers = await asyncio.gather(*(api.create(order, Idempotency_Key=k) for order in orders))
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 7
    assert await api.head() == head + 1


async def test_a_repeated_command_gets_its_first_answer_although_its_if_match_is_outdated(api: CommandApi) -> None:
    k, order_id = key(), await api.fulfilled_order()
    first = await api.put(order_id, "ship", SHIPMENT, Idempotency_Key=k, If_Match='"2"')
    assert first.status_code == 200, first.text
    is_replay(await api.put(order_id, "ship", SHIPMENT, Idempotency_Key=k, If_Match='"2"'), first)
    other = {**SHIPMENT, "carrier": "DHL"}
    problem(await api.put(order_id, "ship", other, Idempotency_Key=k, If_Match='"2"'), 422, "key_reused")


async def test_a_repeated_command_gets_its_first_answer_although_it_would_be_refused_now(api: CommandApi) -> None:
    k, order_id = key(), await api.placed_order()
    first = await api.put(order_id, "confirm", Idempotency_Key=k)
    assert (await api.put(order_id, "cancel", REASON)).status_code == 200
    is_replay(await api.put(order_id, "confirm", Idempotency_Key=k), first)


async def test_a_repeated_command_gets_its_first_refusal_although_it_would_be_accepted_now(api: CommandApi) -> None:
    k, order_id = key(), await api.placed_order()
    first = await api.put(order_id, "deliver", Idempotency_Key=k)
    problem(first, 400, "not_allowed")
    shipped = await api.shipped_order()
    is_replay(await api.put(order_id, "deliver", Idempotency_Key=k), first)
    problem(await api.put(shipped, "deliver", Idempotency_Key=k), 422, "key_reused")


async def test_a_command_with_an_invalid_body_leaves_its_key_unused(api: CommandApi) -> None:
    k = key()
    problem(await api.create({**ORDER, "currency": "XTS"}, Idempotency_Key=k), 400, "validation_failed", "currency")
    problem(await api.put(uuid4(), "confirm", Idempotency_Key=k), 404, "not_found")
    assert (await api.create(Idempotency_Key=k)).status_code == 201


async def test_the_api_knows_a_key_after_it_was_killed_and_started_again(
    postgres: EmbeddedPostgres, template: str, tmp_path: Path
) -> None:
    async with command_api(postgres, template, tmp_path) as api:
        k = key()
        first = await api.create(Idempotency_Key=k)
        refused = await api.put(first.json()["order_id"], "deliver", Idempotency_Key=k)
        api.kill()
        await api.start()
        is_replay(await api.create(Idempotency_Key=k), first)
        is_replay(await api.put(first.json()["order_id"], "deliver", Idempotency_Key=k), refused)
        assert await api.head() == 1


OF_THE_FIRST_RELEASE = """
INSERT INTO idempotency_keys (scope, key, fingerprint, status, stream_id, version, position, fields, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
"""


async def test_the_api_repeats_an_answer_that_the_first_release_stored_word_for_word(api: CommandApi) -> None:
    order_id, k = await api.placed_order(), key()
    order = {"order_id": order_id, "order_number": "ORD-1", "status": "CREATED"}
    confirmed = {"order_id": order_id, "status": "CONFIRMED"}
    refused = {"code": "not_allowed", "detail": "cannot deliver a created order"}
    create = (
        b'{"currency":"USD","customer_id":"customer-1","items":[{"product_id":"LAPTOP-001","quantity":1,'
        b'"sku":"LAPTOP-001","unit_price":"1299.0"}],"payment_method":"card","shipping_address":{"city":'
        b'"San Francisco","country":"US","state":"CA","street":"1 Market St","zip":"94105"}}'
    )
    stored: list[tuple[str, str, bytes, int, int | None, int | None, dict[str, str]]] = [
        ("POST /api/v1/orders ", "/api/v1/orders", create, 201, 1, 7, order),
        ("PUT /api/v1/orders/{id}/confirm ", f"/api/v1/orders/{order_id}/confirm", b"{}", 200, 2, 8, confirmed),
        ("PUT /api/v1/orders/{id}/deliver ", f"/api/v1/orders/{order_id}/deliver", b"{}", 400, None, None, refused),
    ]
    database, head = await asyncpg.connect(api.dsn), await api.head()
    for scope, path, body, status, version, position, fields in stored:
        fingerprint = hashlib.sha256(path.encode() + b"\n" + body).digest()
        row = (scope, k, fingerprint, status, order_id, version, position, json.dumps(fields))
        await database.execute(OF_THE_FIRST_RELEASE, *row)
    await database.close()
    created = await api.create(Idempotency_Key=k)
    assert (created.status_code, created.json()) == (201, {**order, "version": 1, "position": 7})
    assert created.headers["location"] == f"/api/v1/orders/{order_id}"
    answer = await api.put(order_id, "confirm", Idempotency_Key=k)
    assert (answer.status_code, answer.json()) == (200, {**confirmed, "version": 2, "position": 8})
    assert (created.headers["etag"], answer.headers["etag"]) == ('"1"', '"2"')
    no = await api.put(order_id, "deliver", Idempotency_Key=k)
    assert problem(no, 400, "not_allowed")["error"] == "cannot deliver a created order"
    assert [a.headers["idempotent-replayed"] for a in (created, answer, no)] == ["true"] * 3
    assert await api.head() == head


async def test_the_api_stores_answers_in_the_format_of_the_first_release(api: CommandApi) -> None:
    k, order_id = key(), await api.placed_order()
    await api.create(Idempotency_Key=k)
    await api.put(order_id, "confirm", Idempotency_Key=k)
    await api.put(order_id, "deliver", Idempotency_Key=k)
    database = await asyncpg.connect(api.dsn)
    rows = await database.fetch("SELECT status FROM idempotency_keys WHERE key = $1 ORDER BY created_at", k)
    await database.close()
    assert [row["status"] for row in rows] == [201, 200, 400]


@pytest.mark.parametrize("wrong", ["", '""', "a b", "k" * 256, "schl\u00fcssel"])
async def test_the_api_refuses_a_key_that_is_empty_too_long_or_has_wrong_characters(
    api: CommandApi, wrong: str
) -> None:
    headers = {b"Idempotency-Key": wrong.encode()}
    problem(await api.http.post("/api/v1/orders", json=ORDER, headers=headers), 400, "validation_failed", IDEMPOTENCY)
    assert (await api.create(Idempotency_Key="k" * 219 + key())).status_code == 201  # 255


async def test_the_api_refuses_a_request_with_two_keys(api: CommandApi) -> None:
    headers = [("Idempotency-Key", key()), ("Idempotency-Key", key())]
    answer = await api.http.post("/api/v1/orders", json=ORDER, headers=headers)
    problem(answer, 400, "validation_failed", IDEMPOTENCY)
