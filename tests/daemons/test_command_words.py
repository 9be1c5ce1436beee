"""What people and programs write in a command: addresses, names, misnamed fields, and the same thing twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4, uuid5

import httpx
import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.domain.message import Sku, StreamId, inventory_stream
from core.services.execute import COMMANDS
from tests.support.command_api import ADDRESS, ITEM, ORDER, CommandApi, command_api, problem

MISNAMED = {**ORDER, "currencyCode": "EUR"}
WITH_MORE = {**ORDER, "memo": "ring twice", "items": [{**ITEM, "tax": 1}], "備考": "x"}
IGNORED = "items[0].tax, memo, %E5%82%99%E8%80%83"


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CommandApi]:
    async with command_api(postgres, template, tmp_path_factory.mktemp("api")) as ready:
        yield ready


async def metadata(api: CommandApi, stream: str | UUID) -> list[Any]:
    return [event.metadata for event in await api.store.load(StreamId(UUID(str(stream))))]


async def test_an_order_to_a_country_without_states_or_postal_codes_is_placed(api: CommandApi) -> None:
    for address in (
        {"street": "8 Finance Street", "city": "Central", "country": "HK"},
        {"street": "1 O'Connell Street", "city": "Dublin", "state": None, "zip": "", "country": "ie"},
        {"street": "شارع الشيخ زايد", "city": "دبي", "country": "AE"},
    ):
        created = await api.create({**ORDER, "shipping_address": address})
        assert created.status_code == 201, created.text
        [event] = await api.store.load(StreamId(UUID(created.json()["order_id"])))
        kept: Any = event.event
        assert (kept.shipping_address.state, kept.shipping_address.zip) == ("", "")
        assert kept.shipping_address.country == address["country"].upper()  # type: ignore[union-attr]
    us = {name: value for name, value in ADDRESS.items() if name != "state"}
    refused = problem(
        await api.create({**ORDER, "shipping_address": us}), 400, "validation_failed", "shipping_address.state"
    )
    assert refused["error"] == "shipping_address.state: is required in US"


async def test_a_sku_in_two_unicode_forms_is_one_sku(api: CommandApi) -> None:
    first = await api.receive(quote("Café-1"), {"quantity": 2})
    second = await api.receive(quote("Cafe\u0301-1"), {"quantity": 3})
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == {"sku": "Café-1", "available": 5, "version": 2, "position": second.json()["position"]}
    assert len(await metadata(api, inventory_stream(Sku("Café-1")))) == 2


async def test_a_misnamed_field_is_refused_and_nothing_is_recorded(api: CommandApi) -> None:
    head = await api.head()
    for query in ("", "?dry_run=true", "?strict=true", "?strict=false"):
        answer = await api.http.post(f"/api/v1/orders{query}", json=MISNAMED, headers={"Idempotency-Key": str(uuid4())})
        assert "did you mean currency?" in problem(answer, 400, "validation_failed", "currencyCode")["error"]
    assert await api.head() == head


async def test_unknown_fields_are_reported_in_each_answer_and_refused_when_the_caller_is_strict(
    api: CommandApi,
) -> None:
    key = str(uuid4())
    first = await api.create(WITH_MORE, Idempotency_Key=key)
    replay = await api.create(WITH_MORE, Idempotency_Key=key)
    plain = await api.create(ORDER | {"items": [ITEM]}, Idempotency_Key=key)
    dry = await api.http.post("/api/v1/orders?dry_run=true", json=WITH_MORE)
    assert first.status_code == 201, first.text
    assert first.content == replay.content == plain.content
    for answer in (first, replay, plain, dry):
        assert answer.headers["orderdeck-ignored-fields"] == IGNORED
        assert [each["field"] for each in answer.json()["warnings"]] == ["items[0].tax", "memo", "備考"]
    strict = await api.http.post("/api/v1/orders?strict=true", json=WITH_MORE)
    problem(strict, 400, "validation_failed", "items[0].tax", "memo", "備考")
    right = await api.http.post("/api/v1/orders?strict=true&dry_run=true", json=ORDER)
    assert (right.status_code, "warnings" in right.json()) == (200, False)
    many = await api.create({**ORDER, "items": [{**ITEM, "tax": 1}] * 50})
    assert many.headers["orderdeck-ignored-fields"].endswith("items[19].tax, and 30 more")
    refused = await api.put(first.json()["order_id"], "cancel", {"reason": "x", "by": "ann"})
    assert refused.headers["orderdeck-ignored-fields"] == "by"


async def test_a_command_that_needs_no_body_reports_what_it_was_sent(api: CommandApi) -> None:
    order_id = await api.placed_order()
    path = f"/api/v1/orders/{order_id}/confirm"
    many = b'{"x":[' + b"{}," * 300_000 + b"{}]}"
    for content, kind, status in ((many, "application/json", 400), (b"x=1", "text/plain", 415)):
        answer = await api.http.put(path, content=content, headers={"Content-Type": kind})
        assert answer.status_code == status, answer.text
    strict = await api.http.put(f"{path}?strict=true", json={"dry_run": True})
    problem(strict, 400, "validation_failed", "dry_run")
    for content in (b"", b" \n", b"{}"):
        answer = await api.http.put(
            f"{path}?dry_run=true", content=content, headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, "orderdeck-ignored-fields" in answer.headers) == (200, False)
    done = await api.http.put(path, json={"dry_run": True})
    assert (done.status_code, done.headers["orderdeck-ignored-fields"]) == (200, "dry_run")


async def test_commands_that_mean_the_same_have_one_key_and_others_are_refused(api: CommandApi) -> None:
    key = str(uuid4())

    def priced(price: str, **more: Any) -> str:
        country = more.pop("country", '"US"')
        text = f'{{"customer_id":"Zoë","items":[{{"product_id":"p","sku":"S","quantity":1,"unit_price":{price}}}],'
        address = f'{{"street":"1 St","city":"C","state":"CA","zip":"9","country":{country}}}'
        return text + f'"shipping_address":{address}{"".join(f",{k!s}:{v}" for k, v in more.items())}}}'

    same = [
        *(priced(price) for price in ("10", "10.00", '"10.00"', "1e1", "1E+1", '"1e1"', "100e-1", "10.0000000")),
        priced("10", country='"us"'),
        priced("10", country='"\\u0055s"'),
        priced("10", **{'"currency"': '"USD"'}),
        priced("10", **{'"currency"': '"usd"'}),
        priced("10", **{'"payment_method"': '"card"', '"currency"': '"USD"'}),
        priced("10", **{'"payment_method"': '{"type":"card"}'}),
        priced("10", **{'"payment_method"': '{"label":null,"type":"card"}'}),
        priced("10").replace("Zoë", "Zoe\u0308"),
        priced("10").replace("Zoë", "Zo\\u00eb"),
        priced("10").replace("Zoë", "Zoe\\u0308"),
    ]
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    answers = [await api.http.post("/api/v1/orders", content=text, headers=headers) for text in same]
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}, [
        answer.text for answer in answers
    ]
    for other in (priced("10.01"), priced("10", country='"CA"'), priced("10").replace("Zoë", "zoë"), priced("100")):
        problem(await api.http.post("/api/v1/orders", content=other, headers=headers), 422, "key_reused")
    order_id = answers[0].json()["order_id"]
    first = await api.put(order_id, "cancel", {"reason": "x"}, Idempotency_Key=key)
    shouted = await api.put(order_id.upper(), "cancel", {"reason": "x"}, Idempotency_Key=key)
    assert first.content == shouted.content
    assert shouted.headers["idempotent-replayed"] == "true"


async def test_the_events_of_a_command_name_it_as_their_cause(api: CommandApi) -> None:
    key, order_id = "key-of-ann", await api.placed_order()
    await api.put(order_id, "confirm", Idempotency_Key=key, Orderdeck_Actor="ann")
    await api.put(order_id, "cancel", {"reason": "x"})
    created, confirmed, cancelled = await metadata(api, order_id)
    assert confirmed.causation_id == uuid5(COMMANDS, f"PUT /api/v1/orders/{{id}}/confirm ann\n{key}")
    assert len({created.causation_id, confirmed.causation_id, cancelled.causation_id} - {None}) == 3
    sku = f"S-{uuid4()}"
    await api.receive(sku, {"quantity": 1}, Idempotency_Key=key)
    await api.receive(f"{sku}-2", {"quantity": 1}, Idempotency_Key=str(uuid4()))
    [received] = await metadata(api, inventory_stream(Sku(sku)))
    assert received.causation_id == uuid5(COMMANDS, f"POST /api/v1/inventory/{{sku}}/receipts \n{key}")
    dry = await api.put(await api.placed_order(), "confirm", query="?dry_run=true")
    assert UUID(dry.json()["events"][0]["metadata"]["causation_id"])


@pytest.mark.parametrize("name", ["Orderdeck-Actor", "Idempotency-Key", "If-Match", "X-Request-Id", "Content-Type"])
async def test_a_header_that_may_stand_once_is_refused_when_it_is_repeated(api: CommandApi, name: str) -> None:
    head, value = await api.head(), {"If-Match": '"0"', "Content-Type": "application/json"}.get(name, "ann")
    rest = [] if name == "Content-Type" else [("Content-Type", "application/json")]
    for second in (value, "bob"):
        headers = [*rest, (name, value), (name.lower(), second)]
        answer = await api.http.post("/api/v1/orders", json=ORDER, headers=headers)
        assert problem(answer, 400, "validation_failed", name)["error"] == f"{name}: is given twice"
    assert await api.head() == head


@pytest.mark.parametrize("text", ["a\u202eb", "a\u200bb", "\ue000", "a\U000e0041"])
async def test_the_rule_for_texts_holds_for_headers_too(api: CommandApi, text: str) -> None:
    for name in ("Orderdeck-Actor", "X-Request-Id"):
        answer = await api.http.post("/api/v1/orders", json=ORDER, headers={name.encode(): text.encode()})
        problem(answer, 400, "validation_failed", name)


async def test_bodies_of_a_megabyte_are_refused_at_once_and_others_are_served_meanwhile(api: CommandApi) -> None:
    body = b'{"items":[' + b"{}," * 349_000 + b"{}]}"
    headers = {"Content-Type": "application/json"}
    head = await api.head()

    async def send() -> httpx.Response:
        return await api.http.post("/api/v1/orders", content=body, headers=headers)

    began = time.monotonic()
    sent = [asyncio.create_task(send()) for _ in range(8)]
    while not all(task.done() for task in sent):
        assert (await api.http.get("/health", timeout=5)).status_code == 200
    assert time.monotonic() - began < 10
    for task in sent:
        problem(await task, 400, "validation_failed", "body")
        assert len((await task).content) < 1_000
    assert await api.head() == head
