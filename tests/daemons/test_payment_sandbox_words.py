"""The sandbox reads bodies and headers by the same rules as the command API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from daemons.payment_sandbox.app import Sandbox, make_service
from daemons.payment_sandbox.ledger import Ledger
from tests.support.command_api import problem

CHARGE = {"order_id": "o-1", "amount": "10.00", "currency": "USD", "payment_method": "card"}
JSON = ("Content-Type", "application/json")
PATH = f"/api/v1/charges/{uuid4()}"


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    app: Any = make_service(Sandbox(ledger, asyncio.Event()))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
            yield client
    finally:
        ledger.close()


@pytest.mark.parametrize("twice", [("Idempotency-Key", "k"), JSON], ids=lambda header: header[0])
async def test_the_sandbox_refuses_a_header_that_is_given_twice(
    http: httpx.AsyncClient, twice: tuple[str, str]
) -> None:
    headers = [("Idempotency-Key", "k"), JSON, twice]
    answer = await http.post(f"{PATH}/authorise", content=msgspec.json.encode(CHARGE), headers=headers)
    assert problem(answer, 400, "validation_failed", twice[0])["error"] == f"{twice[0]}: is given twice"


async def test_the_sandbox_refuses_a_misnamed_field_and_a_body_of_empty_objects(http: httpx.AsyncClient) -> None:
    headers = [("Idempotency-Key", "k"), JSON]
    misnamed = msgspec.json.encode({**CHARGE, "paymentMethod": "x"})
    wrong = problem(
        await http.post(f"{PATH}/authorise", content=misnamed, headers=headers),
        400,
        "validation_failed",
        "paymentMethod",
    )
    assert wrong["error"] == "paymentMethod: is not known here: did you mean payment_method?"
    problem(await http.post("/faults", json={"latency": 5}), 400, "validation_failed", "latency")
    many = b'{"faults":[' + b"{}," * 20_000 + b"{}]}"
    for place in ("/faults", *(f"{PATH}/{each}" for each in ("authorise", "capture", "void", "refund"))):
        answer = await http.post(place, content=many, headers=headers)
        assert "more than 5000 values" in problem(answer, 400, "validation_failed", "body")["error"]
