"""The ledger on its own: on disk before anyone hears it, whatever happens to the process or the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from core.errors import KeyReused, Unavailable
from daemons.payment_sandbox.charges import Authorise, Capture, ChargeState, Void
from daemons.payment_sandbox.ledger import WEEK, Ledger, charges_in
from tests.support.sandbox_process import SandboxProcess

TEN = Decimal("10.00")


def authorise(payment_id: UUID, method: str = "card") -> Authorise:
    return Authorise(payment_id=payment_id, order_id="o", amount=TEN, currency="USD", payment_method=method)


@asynccontextmanager
async def open_ledger(path: Path, seconds: float = WEEK) -> AsyncIterator[Ledger]:
    ledger = Ledger(path, seconds)
    try:
        yield ledger
    finally:
        ledger.close()


async def test_charges_and_answers_are_still_in_the_ledger_after_a_restart(tmp_path: Path) -> None:
    payment = uuid4()
    async with open_ledger(tmp_path / "ledger") as ledger:
        first = await ledger.execute("a", authorise(payment))
        await ledger.execute("c", Capture(payment_id=payment, amount=TEN))
    async with open_ledger(tmp_path / "ledger") as ledger:
        again = await ledger.execute("a", authorise(payment))
        assert (again.answer, again.replayed) == (first.answer, True)
        [(_, charge)] = ledger.charges(after=0, limit=10)
        assert (charge.state, charge.captured) == (ChargeState.CAPTURED, TEN)


async def test_the_ledger_counts_attempts_across_restarts(tmp_path: Path) -> None:
    payment, outcomes = uuid4(), []
    for _ in range(3):
        async with open_ledger(tmp_path / "ledger") as ledger:
            settled = await ledger.execute("a", authorise(payment, "test_card_flaky"))
            outcomes.append(settled.answer.outcome)
    assert outcomes == ["unavailable", "unavailable", "approved"]


async def test_a_key_that_was_answered_not_available_still_belongs_to_its_first_request(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        await ledger.execute("a", authorise(uuid4(), "test_card_flaky"))
        with pytest.raises(KeyReused):
            await ledger.execute("a", authorise(uuid4(), "test_card_flaky"))


async def test_requests_that_wait_for_the_ledger_share_a_commit(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    async with open_ledger(path) as ledger:
        with locked(path):
            waiting = [asyncio.ensure_future(ledger.execute(str(n), authorise(uuid4()))) for n in range(200)]
            await asyncio.sleep(0)
        commits: list[str] = []
        ledger._writes.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        await asyncio.gather(*waiting)
        assert len(ledger.charges(after=0, limit=1000)) == 200
        assert len(commits) <= 2  # the one that waited for the lock, and all the others


async def test_a_caller_that_gives_up_does_not_disturb_the_ledgers_other_callers(tmp_path: Path) -> None:
    path, payment = tmp_path / "ledger", uuid4()
    async with open_ledger(path) as ledger:
        with locked(path):
            gone = asyncio.ensure_future(ledger.execute("gone", authorise(payment)))
            stays = asyncio.ensure_future(ledger.execute("stays", authorise(uuid4())))
            await asyncio.sleep(0)
            gone.cancel()
        async with asyncio.timeout(10):
            assert not (await stays).replayed
        assert (await ledger.execute("gone", authorise(payment))).replayed


async def test_a_ledger_that_cannot_be_written_raises_an_error_and_works_again_after_the_repair(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        ledger._writes.execute("PRAGMA query_only = ON")  # as good as a full disk
        with pytest.raises(Unavailable, match="the ledger cannot be written"):
            await ledger.execute("a", authorise(uuid4()))
        assert await ledger.why_not_ready()
        ledger._writes.execute("PRAGMA query_only = OFF")
        assert not (await ledger.execute("a", authorise(uuid4()))).replayed
        assert await ledger.why_not_ready() is None


def test_every_answer_before_a_kill_is_in_the_ledger_after_it(tmp_path: Path) -> None:
    heard: dict[str, str] = {}
    with SandboxProcess(tmp_path) as sandbox:
        for _ in range(3):
            asyncio.run(charge_until_killed(sandbox, heard))
            sandbox.start()
        assert len(heard) >= 30
        with httpx.Client(base_url=sandbox.url, trust_env=False) as http:
            found = {key: http.get(f"/api/v1/operations/{key}").json()["reference"] for key in heard}
            ledger = http.get("/ledger").json()["charges"]
    assert found == heard
    assert {f"{charge['payment_id']}:authorise" for charge in ledger} >= set(heard)


async def charge_until_killed(sandbox: SandboxProcess, heard: dict[str, str]) -> None:
    enough = len(heard) + 10

    async def customer(http: httpx.AsyncClient) -> None:
        while True:
            payment = uuid4()
            key = f"{payment}:authorise"
            body = {"order_id": "o", "amount": "1.00", "currency": "USD", "payment_method": "card"}
            try:
                answer = await http.post(
                    f"/api/v1/charges/{payment}/authorise", json=body, headers={"Idempotency-Key": key}
                )
            except httpx.TransportError:
                return
            heard[key] = answer.json()["reference"]
            if len(heard) >= enough:
                sandbox.kill()  # while the other customers wait for their answers

    async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as http:
        await asyncio.gather(*(customer(http) for _ in range(8)))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the file's write lock."""
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("COMMIT")
    finally:
        other.close()


async def test_a_ledger_of_an_earlier_release_has_authorisations_that_do_not_end(tmp_path: Path) -> None:
    path, payment = tmp_path / "ledger", uuid4()
    async with open_ledger(path) as ledger:
        await ledger.execute("a", authorise(payment))
    with sqlite3.connect(path) as before:
        before.execute("ALTER TABLE charges DROP COLUMN expires_at")
    before.close()
    [old] = charges_in(path)
    assert (old.state, old.expires_at) == (ChargeState.AUTHORISED, None)
    async with open_ledger(path) as ledger:
        captured = await ledger.execute("c", Capture(payment_id=payment, amount=TEN))
        assert captured.answer.outcome == "approved"


async def test_an_authorisation_ends_after_the_seconds_that_the_ledger_was_given(tmp_path: Path) -> None:
    payment = uuid4()
    async with open_ledger(tmp_path / "ledger", seconds=0.01) as ledger:
        answer = (await ledger.execute("a", authorise(payment))).answer
        assert answer.expires_at is not None
        async with asyncio.timeout(10):
            while (charge := ledger.charge(payment)) is None or charge.state is not ChargeState.EXPIRED:
                await asyncio.sleep(0.005)
        assert (await ledger.execute("c", Capture(payment_id=payment, amount=TEN))).answer.outcome == "refused"
        assert (await ledger.execute("v", Void(payment_id=payment, reason="late"))).answer.outcome == "approved"
        assert (await ledger.execute("a:2", authorise(payment))).answer.outcome == "approved"
