"""The sandbox over HTTP: keys, repeated requests, test payment methods, and hostile input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from daemons.payment_sandbox.app import MOST_BYTES, Sandbox, make_service
from daemons.payment_sandbox.ledger import Ledger

CHARGE = {"order_id": "o-1", "amount": "10.00", "currency": "USD", "payment_method": "card"}


class Caller:
    """Speaks to the app in this process; `url` is a fresh payment."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.payment_id = str(uuid4())

    async def post(self, operation: str, body: Any, key: str | None = None) -> httpx.Response:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"Idempotency-Key": key or f"{self.payment_id}:{operation}", "Content-Type": "application/json"}
        return await self.http.post(f"/api/v1/charges/{self.payment_id}/{operation}", content=raw, headers=headers)


@asynccontextmanager
async def calling(path: Path, *, hang: float = 30, stop: asyncio.Event | None = None) -> AsyncIterator[Caller]:
    ledger = Ledger(path)
    app: Any = make_service(Sandbox(ledger, stop or asyncio.Event(), slow=30, hang=hang))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as http:
            yield Caller(http)
    finally:
        ledger.close()


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    async with calling(tmp_path / "ledger.sqlite") as ready:
        yield ready


def is_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert {"type", "title", "status", "detail", "code", "error", "errors"} == set(document)
    assert (document["status"], document["code"]) == (status, code)
    assert document["error"]
    return document


async def test_a_charge_is_authorised_captured_and_refunded(caller: Caller) -> None:
    answers = [
        await caller.post("authorise", CHARGE),
        await caller.post("capture", {"amount": "10.00"}),
        await caller.post("refund", {"amount": "10.00", "reason": "broken"}),
    ]
    assert [each.status_code for each in answers] == [200, 200, 200]
    assert len({each.json()["reference"] for each in answers}) == 3
    shown = (await caller.http.get(f"/api/v1/charges/{caller.payment_id}")).text
    assert '"state":"REFUNDED"' in shown
    assert '"authorised":10.00,"captured":10.00,"refunded":10.00' in shown  # numbers with their decimals, no floats


async def test_the_sandbox_answers_the_same_key_in_the_same_way_and_charges_once(caller: Caller) -> None:
    first = await caller.post("authorise", CHARGE)
    again = await caller.post("authorise", {**CHARGE, "amount": 10})
    assert (again.status_code, again.content) == (200, first.content)
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert len((await caller.http.get("/ledger")).json()["charges"]) == 1


async def test_a_payment_key_in_quotes_is_the_same_key_as_without_quotes(caller: Caller) -> None:
    await caller.post("authorise", CHARGE, key="k-1")
    assert (await caller.post("authorise", CHARGE, key='"k-1"')).headers["idempotent-replayed"] == "true"


async def test_the_sandbox_repeats_a_decline_for_the_same_key(caller: Caller) -> None:
    declined = {**CHARGE, "payment_method": "test_card_insufficient_funds"}
    first = await caller.post("authorise", declined)
    assert is_problem(first, 402, "declined")["detail"] == "insufficient funds"
    assert (await caller.post("authorise", declined)).content == first.content


async def test_the_sandbox_refuses_a_key_that_comes_back_with_another_request(caller: Caller) -> None:
    await caller.post("authorise", CHARGE)
    is_problem(await caller.post("authorise", {**CHARGE, "amount": "10.01"}), 422, "key_reused")


async def test_duplicates_sent_at_once_charge_once(caller: Caller) -> None:
    answers = await asyncio.gather(*(caller.post("authorise", CHARGE) for _ in range(50)))
    assert {each.content for each in answers} == {answers[0].content}
    assert sum("idempotent-replayed" not in each.headers for each in answers) == 1


async def test_a_payment_voided_before_its_authorisation_can_never_be_authorised(caller: Caller) -> None:
    assert (await caller.post("void", {"reason": "gave up waiting"})).status_code == 200
    assert is_problem(await caller.post("authorise", CHARGE), 409, "refused")["detail"] == "this payment was voided"


async def test_a_flaky_provider_says_when_to_come_back(caller: Caller) -> None:
    flaky = {**CHARGE, "payment_method": "test_card_flaky"}
    for _ in range(2):
        refused = await caller.post("authorise", flaky)
        is_problem(refused, 503, "unavailable")
        assert refused.headers["retry-after"] == "1"
        assert (await caller.http.get(f"/api/v1/operations/{caller.payment_id}:authorise")).status_code == 404
    assert (await caller.post("authorise", flaky)).status_code == 200


async def test_a_charge_whose_answer_was_lost_is_found_by_its_key(caller: Caller) -> None:
    lost = {**CHARGE, "payment_method": "test_card_timeout"}
    waiting = asyncio.ensure_future(caller.post("authorise", lost))
    found = await until_found(caller, f"{caller.payment_id}:authorise")
    assert (found["outcome"], waiting.done()) == ("approved", False)
    waiting.cancel()
    assert (await caller.post("authorise", lost)).json()["reference"] == found["reference"]


async def test_a_caller_that_waits_long_enough_for_a_lost_answer_gets_504(tmp_path: Path) -> None:
    async with calling(tmp_path / "ledger.sqlite", hang=0) as caller:
        is_problem(await caller.post("authorise", {**CHARGE, "payment_method": "test_card_timeout"}), 504, "timeout")


async def until_found(caller: Caller, key: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while (response := await caller.http.get(f"/api/v1/operations/{key}")).status_code == 404:
            await asyncio.sleep(0)
    return response.json()


async def test_a_slow_charge_is_in_the_ledger_only_once_it_is_done(tmp_path: Path) -> None:
    stop = asyncio.Event()
    async with calling(tmp_path / "ledger.sqlite", stop=stop) as caller:
        slow_payment = caller.payment_id
        waiting = asyncio.ensure_future(caller.post("authorise", {**CHARGE, "payment_method": "test_card_slow"}))
        await asyncio.sleep(0)
        caller.payment_id = str(uuid4())
        await caller.post("authorise", CHARGE)  # came later, and is done
        assert [each["payment_id"] for each in await ledger_of(caller)] == [caller.payment_id]
        stop.set()
        assert (await waiting).status_code == 200
        assert [each["payment_id"] for each in await ledger_of(caller)] == [caller.payment_id, slow_payment]


async def ledger_of(caller: Caller) -> list[dict[str, Any]]:
    return (await caller.http.get("/ledger")).json()["charges"]


async def test_a_look_up_answers_approved_declined_or_refused(caller: Caller) -> None:
    await caller.post("authorise", {**CHARGE, "payment_method": "test_card_fail"}, key="no")
    await caller.post("capture", {"amount": "1"}, key="never")
    await caller.post("void", {"reason": "so"}, key="yes")
    found = {
        key: (await caller.http.get(f"/api/v1/operations/{key}")).json()["outcome"] for key in ("no", "never", "yes")
    }
    assert found == {"no": "declined", "never": "refused", "yes": "approved"}
    is_problem(await caller.http.get("/api/v1/operations/unheard"), 404, "not_found")


async def test_the_ledger_comes_in_pages(caller: Caller) -> None:
    payments = [str(uuid4()) for _ in range(5)]
    for caller.payment_id in payments:
        await caller.post("authorise", CHARGE)
    seen: list[str] = []
    cursor: int | None = 0
    while cursor is not None:
        page = (await caller.http.get("/ledger", params={"after": cursor, "limit": 2})).json()
        seen += [each["payment_id"] for each in page["charges"]]
        cursor = page["next_cursor"]
    assert seen == payments


HOSTILE_BODIES: list[tuple[bytes, str]] = [
    (b"", "body"),
    (b"{", "body"),
    (b"\xff\xfe", "body"),
    (b'{"amount":NaN}', "body"),
    (b'{"order_id":"\\ud800","amount":1,"currency":"USD","payment_method":"card"}', "body"),
    (b'{"amount":1,"amount":2}', "amount"),
    (b"[]", "body"),
    (b"null", "body"),
    (b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "body"),
    (b'{"amount":1,"currency":"USD","payment_method":"card"}', "order_id"),
    (msgspec.json.encode({**CHARGE, "amount": None}), "amount"),
    (msgspec.json.encode({**CHARGE, "amount": True}), "amount"),
    (msgspec.json.encode({**CHARGE, "amount": "NaN"}), "amount"),
    (msgspec.json.encode({**CHARGE, "amount": "Infinity"}), "amount"),
    (msgspec.json.encode({**CHARGE, "amount": "-1"}), "amount"),
    (msgspec.json.encode({**CHARGE, "amount": 0}), "amount"),
    (msgspec.json.encode({**CHARGE, "amount": "0.001"}), "amount"),
    (msgspec.json.encode({**CHARGE, "amount": "1e400"}), "amount"),
    (msgspec.json.encode({**CHARGE, "amount": "1e999999999"}), "amount"),
    (msgspec.json.encode({**CHARGE, "amount": "10000000000"}), "amount"),
    (msgspec.json.encode({**CHARGE, "currency": "us"}), "currency"),
    (msgspec.json.encode({**CHARGE, "currency": "USD\n"}), "currency"),
    (msgspec.json.encode({**CHARGE, "currency": 840}), "currency"),
    (msgspec.json.encode({**CHARGE, "payment_method": "Card!"}), "payment_method"),
    (msgspec.json.encode({**CHARGE, "payment_method": "a" * 41}), "payment_method"),
    (msgspec.json.encode({**CHARGE, "order_id": "  "}), "order_id"),
    (msgspec.json.encode({**CHARGE, "order_id": "a\x00b"}), "order_id"),
    (msgspec.json.encode({**CHARGE, "order_id": "x" * 501}), "order_id"),
]


@pytest.mark.parametrize(("body", "field"), HOSTILE_BODIES, ids=lambda each: repr(each)[:40])
async def test_the_sandbox_names_the_wrong_field_of_a_body_and_records_nothing(
    caller: Caller, body: bytes, field: str
) -> None:
    document = is_problem(await caller.post("authorise", body), 400, "validation_failed")
    assert [each["field"] for each in document["errors"]] == [field]
    assert (await caller.http.get("/ledger")).json()["charges"] == []


async def test_the_sandbox_refuses_bodies_that_are_not_json(caller: Caller) -> None:
    response = await caller.http.post(
        f"/api/v1/charges/{caller.payment_id}/void", data={"reason": "so"}, headers={"Idempotency-Key": "k"}
    )
    is_problem(response, 415, "unsupported_media_type")


async def test_every_wrong_field_is_named_at_once(caller: Caller) -> None:
    body = {"order_id": "", "amount": 0, "currency": "?", "payment_method": ""}
    document = is_problem(await caller.post("authorise", body), 400, "validation_failed")
    assert [each["field"] for each in document["errors"]] == ["order_id", "amount", "currency", "payment_method"]


@pytest.mark.parametrize("key", ["", '""', "a b", "ä", "k" * 256, "a/b", "'; DROP TABLE charges; --"])
async def test_the_sandbox_refuses_a_malformed_key(caller: Caller, key: str) -> None:
    response = await caller.http.post(
        f"/api/v1/charges/{caller.payment_id}/void",
        json={"reason": "so"},
        headers={b"Idempotency-Key": key.encode()},
    )
    assert is_problem(response, 400, "validation_failed")["errors"][0]["field"] == "Idempotency-Key"


async def test_the_sandbox_refuses_a_request_without_a_key(caller: Caller) -> None:
    response = await caller.http.post(f"/api/v1/charges/{caller.payment_id}/void", json={"reason": "so"})
    assert is_problem(response, 400, "validation_failed")["errors"] == [
        {"field": "Idempotency-Key", "message": "is required"}
    ]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/v1/charges/not-a-uuid", 404, "not_found"),
        ("GET", "/api/v1/charges/00000000-0000-0000-0000-00000000000a", 404, "not_found"),
        ("POST", "/api/v1/charges/not-a-uuid/void", 404, "not_found"),
        ("DELETE", "/ledger", 405, "method_not_allowed"),
        ("GET", "/ledger?limit=0", 400, "validation_failed"),
        ("GET", "/ledger?limit=1001", 400, "validation_failed"),
        ("GET", "/ledger?after=-1", 400, "validation_failed"),
        ("GET", "/ledger?after=99999999999999999999", 400, "validation_failed"),
        ("GET", "/ledger?after=x", 400, "validation_failed"),
        ("GET", "/api/v1/operations/a%20b", 400, "validation_failed"),
    ],
)
async def test_the_sandbox_refuses_an_unknown_path(
    caller: Caller, method: str, path: str, status: int, code: str
) -> None:
    is_problem(await caller.http.request(method, path), status, code)


async def test_the_sandbox_refuses_a_body_that_is_too_large(caller: Caller) -> None:
    is_problem(await caller.post("authorise", b" " * (MOST_BYTES + 1)), 413, "request_entity_too_large")


async def test_the_openapi_document_describes_every_operation(caller: Caller) -> None:
    document = (await caller.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    charge = "/api/v1/charges/{payment_id}"
    assert {"/ledger", "/api/v1/operations/{key}", charge} < set(document["paths"])
    for operation in ("authorise", "capture", "void", "refund"):
        described = document["paths"][f"{charge}/{operation}"]["post"]
        assert "Idempotency-Key" in [each["name"] for each in described["parameters"]]
        body = described["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert document["components"]["schemas"][body]["properties"]
        assert {"200", "400", "402", "409", "422", "503"} <= set(described["responses"])
