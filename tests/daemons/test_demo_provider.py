"""The demo switches faults of the payment sandbox on and off, and checks what the sandbox has charged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core.errors import ConfigurationError, Unavailable
from daemons.cli.demo.customer import DemoCustomer, DemoFailed, DemoOrder
from daemons.cli.demo.provider import AT_MOST, Provider, borrowed
from tests.support.ports import free_port
from tests.support.sandbox_process import SandboxProcess


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: SandboxProcess) -> SandboxProcess:
    """One whose faults are switched off; each test has orders of its own."""
    httpx.post(shared.url + "/faults", json={}, trust_env=False).raise_for_status()
    return shared


def faults(sandbox: SandboxProcess) -> dict[str, Any]:
    return httpx.get(sandbox.url + "/faults", trust_env=False).json()


def charge(provider: Provider, order_id: str, amount: str) -> None:
    body = {"order_id": order_id, "amount": amount, "currency": "USD", "payment_method": "card"}
    headers = {"Idempotency-Key": str(uuid4())}
    provider.http.post(f"/api/v1/charges/{uuid4()}/authorise", json=body, headers=headers).raise_for_status()


def an_order(provider: Provider) -> DemoOrder:
    return DemoOrder(DemoCustomer(provider.http, provider.http), str(uuid4()), "ORD-1", Decimal("24.50"))


def fails_with_an_outage(sandbox: SandboxProcess, error: BaseException) -> None:
    with borrowed(sandbox.url) as provider:
        provider.switch(outage=True)
        assert faults(sandbox)["outage"] is True
        assert 0 < faults(sandbox)["seconds"] <= AT_MOST, "not even a kill leaves it on for ever"
        raise error


@pytest.mark.parametrize("error", [DemoFailed("x"), KeyboardInterrupt()], ids=["a failure", "Ctrl-C"])
def test_the_demo_switches_its_faults_off_however_it_ends(sandbox: SandboxProcess, error: BaseException) -> None:
    before = faults(sandbox)
    with pytest.raises(type(error)):
        fails_with_an_outage(sandbox, error)
    assert faults(sandbox) == before


@pytest.mark.parametrize("seconds", [0, 100])
def test_the_demo_switches_faults_on_again_that_somebody_else_had_switched_on(
    sandbox: SandboxProcess, seconds: float
) -> None:
    httpx.post(sandbox.url + "/faults", json={"latency_ms": 3, "seconds": seconds}, trust_env=False)
    with pytest.raises(DemoFailed):
        fails_with_an_outage(sandbox, DemoFailed("x"))
    after = faults(sandbox)
    assert (after["latency_ms"], after["outage"]) == (3, False)
    assert after["seconds"] < 100 if seconds else after["seconds"] == 0


def test_the_demo_leaves_faults_off_whose_time_ended_meanwhile(sandbox: SandboxProcess) -> None:
    httpx.post(sandbox.url + "/faults", json={"latency_ms": 3, "seconds": 0.05}, trust_env=False)
    with borrowed(sandbox.url) as provider:
        provider.switch(latency_ms=100)
        provider.http.get("/api/v1/operations/k")  # takes longer than what was left
    assert faults(sandbox)["latency_ms"] == 0


def test_the_demo_names_a_sandbox_that_went_away_meanwhile(tmp_path: Path) -> None:
    with (
        SandboxProcess(tmp_path) as sandbox,
        pytest.raises(Unavailable, match="could not be switched off"),
        borrowed(sandbox.url),
    ):
        sandbox.kill()


def test_the_demo_prints_the_one_charge_of_an_order(
    sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    with borrowed(sandbox.url) as provider:
        order = an_order(provider)
        charge(provider, order.id, "24.50")
        provider.has_charged_once([order], "AUTHORISED")
    assert "ORD-1: charged once, says the provider's ledger: AUTHORISED 24.50" in capsys.readouterr().out


@pytest.mark.parametrize("amounts", [[], ["24.51"], ["24.50", "24.50"]], ids=["none", "another amount", "twice"])
def test_the_demo_fails_unless_an_order_has_one_charge_of_its_amount(
    sandbox: SandboxProcess, amounts: list[str]
) -> None:
    with borrowed(sandbox.url) as provider:
        order = an_order(provider)
        for amount in amounts:
            charge(provider, order.id, amount)
        with pytest.raises(DemoFailed, match="expected one charge, AUTHORISED"):
            provider.has_charged_once([order], "AUTHORISED")


def test_the_demo_does_not_take_an_authorisation_for_a_capture(sandbox: SandboxProcess) -> None:
    with borrowed(sandbox.url) as provider:
        order = an_order(provider)
        charge(provider, order.id, "24.50")
        with pytest.raises(DemoFailed, match="expected one charge, CAPTURED"):
            provider.has_charged_once([order], "CAPTURED")


def test_the_demo_refuses_a_provider_that_knows_no_faults() -> None:
    """Any other web server, such as one of real money."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with (
            pytest.raises(ConfigurationError, match="has no /faults"),
            borrowed(f"http://127.0.0.1:{other.server_port}"),
        ):
            raise AssertionError
        other.shutdown()


def test_the_demo_names_a_provider_that_is_away() -> None:
    with pytest.raises(Unavailable, match="nothing answers at"), borrowed(f"http://127.0.0.1:{free_port()}"):
        raise AssertionError
