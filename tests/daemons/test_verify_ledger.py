"""verify compares the log with the ledger of its own home, never with that of another program on the same port."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import httpx

from core.settings import load_settings
from daemons.cli.verify import _ledger
from tests.support.sandbox_process import SandboxProcess

CHARGE = {"order_id": "order-1", "amount": "10.00", "currency": "USD", "payment_method": "card"}


async def test_verify_compares_a_home_that_is_down_with_its_own_ledger_file_only(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    payment = uuid4()
    with SandboxProcess(tmp_path / "theirs") as theirs:
        async with httpx.AsyncClient(base_url=theirs.url) as customer:
            path, key = f"/api/v1/charges/{payment}/authorise", {"Idempotency-Key": f"{payment}:authorise"}
            (await customer.post(path, json=CHARGE, headers=key)).raise_for_status()
        ours = load_settings(home=tmp_path / "ours", payment_port=theirs.port)
        assert await _ledger(ours, alone=True) == ("absent", None)
        source, charges = await _ledger(ours, alone=False)
        assert (source, list(charges or ())) == ("http", [payment])
        provider = load_settings(home=tmp_path / "ours", payment_url=theirs.url)
        assert (await _ledger(provider, alone=True))[0] == "http", "a provider of its own is asked in any case"
    (tmp_path / "theirs" / "payment-sandbox.sqlite").rename(tmp_path / "ours" / "payment-sandbox.sqlite")
    for wal in (tmp_path / "theirs").glob("payment-sandbox.sqlite-*"):
        wal.rename(tmp_path / "ours" / wal.name)
    source, charges = await _ledger(ours, alone=True)
    assert (source, [charge.state for charge in (charges or {}).values()]) == ("file", ["AUTHORISED"])


async def test_verify_shows_the_provider_its_key(tmp_path: Path) -> None:
    keys = {"ORDERDECK_REQUIRE_KEYS": "true", "ORDERDECK_PAYMENT_KEY": "a-key-of-the-provider"}
    with SandboxProcess(tmp_path, **keys) as provider:
        ours = tmp_path / "ours"
        strange = load_settings(home=ours, payment_url=provider.url)
        assert await _ledger(strange, alone=False) == ("absent", None)
        settings = load_settings(home=ours, payment_url=provider.url, payment_key=keys["ORDERDECK_PAYMENT_KEY"])
        assert await _ledger(settings, alone=False) == ("http", {})
