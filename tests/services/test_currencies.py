"""Orders in currencies with no, two and three decimals: every amount is exact and is shown with its decimals."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from core.adapters.payments.http import HttpPaymentGateway
from core.adapters.postgres.connection import connect
from core.adapters.postgres.evidence import open_evidence
from core.audit.verification import Verification
from core.domain.message import OrderId
from core.domain.provider import Charge
from core.sagas import SAGAS
from daemons.payment_sandbox.ledger import charges_in
from tests.support.command_api import ITEM, ORDER, SHIPMENT, CommandApi
from tests.support.order_desk import Desk
from tests.support.query_api import query_api
from tests.support.sandbox_process import SandboxProcess

CASES = [
    # currency as it is sent, price as JSON, units, total
    ("JPY", "1000", 3, "3000"),
    ("jpy", "33333333333.0", 30, "999999999990"),
    ("KRW", '"5E+4"', 1, "50000"),
    ("KWD", "1.234", 2, "2.468"),
    ("bhd", "0.001", 1, "0.001"),
    ("Usd", "10", 1, "10.00"),
    ("EUR", "0.1", 3, "0.30"),
    ("IRR", "123456789012.34", 2, "246913578024.68"),
]


@pytest.fixture
async def provider(tmp_path: Path, desk: Desk) -> AsyncIterator[tuple[SandboxProcess, httpx.AsyncClient]]:
    with SandboxProcess(tmp_path) as sandbox:
        async with (
            httpx.AsyncClient(base_url=sandbox.url) as client,
            HttpPaymentGateway(sandbox.url, timeout=8.0) as gateway,
        ):
            desk.gateway = gateway  # pyright: ignore[reportAttributeAccessIssue]
            yield sandbox, client


@pytest.fixture
async def commands(dsn: str, tmp_path: Path) -> AsyncIterator[CommandApi]:
    api = CommandApi(dsn, tmp_path)
    try:
        await api.start()
        yield api
    finally:
        await api.close()


def body(currency: str, price: str, units: int) -> bytes:
    """A request with the price exactly as it is written."""
    items = [{**ITEM, "sku": "A", "quantity": units, "unit_price": msgspec.Raw(price.encode())}]
    return msgspec.json.encode({**ORDER, "customer_id": "c", "items": items, "currency": currency})


async def place(commands: CommandApi, currency: str, price: str, units: int = 1) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return await commands.http.post("/api/v1/orders", content=body(currency, price, units), headers=headers)


async def test_amounts_keep_the_decimals_of_their_currency_from_the_request_to_the_ledger_and_back(
    desk: Desk, dsn: str, tmp_path: Path, provider: tuple[SandboxProcess, httpx.AsyncClient], commands: CommandApi
) -> None:
    sandbox, client = provider
    await desk.stock(A=100)
    placed: dict[str, tuple[str, str]] = {}
    async with desk.running():
        for currency, price, units, total in CASES:
            answer = await place(commands, currency, price, units)
            assert answer.status_code == 201, answer.text
            placed[answer.json()["order_id"]] = (currency.upper(), total)
        for order_id in placed:
            assert await desk.ended(OrderId(UUID(order_id))) == "SagaCompleted"
            assert (await commands.http.put(f"/api/v1/orders/{order_id}/ship", json=SHIPMENT)).status_code == 200
        for order_id in placed:
            assert await desk.ended(OrderId(UUID(order_id)), "settle_order") == "SagaCompleted"
    ledger = (await client.get("/ledger")).text
    async with query_api(dsn, tmp_path) as queries:
        await queries.project()

        async def text(path: str) -> str:
            return (await queries.client.get(path)).text

        for order_id, (currency, total) in placed.items():
            view = await text(f"/api/v1/orders/{order_id}")
            assert f'"total_amount":{total},' in view
            assert f'"currency":"{currency}"' in view
            timeline = await text(f"/api/v1/orders/{order_id}/timeline")
            assert len(re.findall(rf'"total_amount": ?{total}[,}}]', timeline)) == 1
            assert len(re.findall(rf'"amount": ?{total}[,}}]', timeline)) == 2, "authorised and captured"
            assert f'"authorised":{total},"captured":{total},"refunded":{Decimal(total) * 0}' in ledger
        summary, demand, stats = [
            await text(path) for path in ("/api/v1/customers/c/summary", "/api/v1/products/A/demand", "/api/v1/stats")
        ]
        for currency, total in sums(placed).items():
            assert re.search(rf'"currency":"{currency}"[^}}]*"spent":{total}\b', summary)
            assert re.search(rf'"currency":"{currency}"[^}}]*"revenue":{total}\b', demand)
            assert re.search(rf'"currency":"{currency}"[^}}]*"revenue":{total}\b', stats)
    charges = {
        each.payment_id: Charge(each.order_id, each.state.value, each.authorised, each.captured, each.refunded)
        for each in charges_in(sandbox.home / "payment-sandbox.sqlite")
    }
    async with open_evidence(lambda: connect(dsn, name="test", role=None, limits=False), wait=0) as evidence:
        report = await Verification(evidence, SAGAS, charges, lambda _done, _of: None).run()
    assert report.violated == 0, report.violations


def sums(placed: dict[str, tuple[str, str]]) -> dict[str, Decimal]:
    amounts: dict[str, Decimal] = {}
    for currency, total in placed.values():
        amounts[currency] = amounts.get(currency, Decimal(0)) + Decimal(total)
    return amounts


WRONG = [
    ("JPY", "0.5", "items[0].unit_price", "must be at least 1"),
    ("JPY", "1.5", "items[0].unit_price", "must have no decimals in JPY"),
    ("JPY", "1e12", "items[0].unit_price", "must be at most 999999999999"),
    ("KWD", "1.2345", "items[0].unit_price", "must have at most 3 decimals"),
    ("usd", "0.001", "items[0].unit_price", "must be at least 0.01"),
    ("USD", "1e400", "items[0].unit_price", "must be at most 9999999999.99"),
    ("XAU", "1", "currency", "must be the ISO 4217 code of a means of payment, such as USD"),
    ("CLF", "1", "currency", "must be the ISO 4217 code of a means of payment, such as USD"),
    ("us", "1", "currency", "must be the ISO 4217 code of a means of payment, such as USD"),
]


async def test_an_amount_that_its_currency_cannot_have_is_refused_with_a_sentence(commands: CommandApi) -> None:
    for currency, price, field, sentence in WRONG:
        answer = await place(commands, currency, price)
        assert answer.status_code == 400, (currency, price)
        assert [(each["field"], each["message"]) for each in answer.json()["errors"]] == [(field, sentence)]
    total = await place(commands, "JPY", "999999999999", 2)
    assert [each["message"] for each in total.json()["errors"]] == ["come to more than 999999999999 in total"]


async def test_the_sandbox_refuses_to_capture_a_part_that_the_currency_cannot_have(
    provider: tuple[SandboxProcess, httpx.AsyncClient],
) -> None:
    _, client = provider
    charge = f"/api/v1/charges/{uuid4()}"
    body = {"order_id": "o", "amount": 1000, "currency": "JPY", "payment_method": "card"}
    keys = [{"Idempotency-Key": f"{charge[-36:]}:{n}"} for n in range(3)]
    assert (await client.post(f"{charge}/authorise", json=body, headers=keys[0])).status_code == 200
    refused = await client.post(f"{charge}/capture", json={"amount": "10.5"}, headers=keys[1])
    assert refused.status_code == 409
    assert "no decimals in JPY" in refused.json()["detail"]
    captured = await client.post(f"{charge}/capture", json={"amount": "10.0"}, headers=keys[2])
    assert captured.json()["amount"] == 10
    again = await client.post(f"{charge}/capture", json={"amount": 10}, headers=keys[2])
    assert again.headers["Idempotent-Replayed"] == "true"
