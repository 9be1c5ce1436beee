"""A daemon that dies at a named point, as by `kill -9`, leaves nothing that its successor cannot put right."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from core.domain.message import OrderId
from core.failpoints import POINTS, Failpoints, deaths
from tests.support.command_api import ORDER
from tests.support.customers import eventually
from tests.support.forked_daemon import ForkedDaemon
from tests.support.logins import of_daemons
from tests.support.order_desk import Desk
from tests.support.orders import contents
from tests.support.sandbox_process import SandboxProcess
from tests.support.stack import Stack

UNDISTURBED = {"OrderCreated": 1, "InventoryReserved": 1, "PaymentAuthorized": 1, "OrderConfirmed": 1}
DECLINED = {"OrderCreated": 1, "InventoryReserved": 1, "PaymentFailed": 1, "InventoryReleased": 1, "OrderCancelled": 1}


def points_of(daemon: str) -> list[str]:
    return [point for point in POINTS if point.startswith(f"{daemon}.")]


class Daemon:
    """One daemon as a process over a test's database, started as often as need be."""

    def __init__(self, name: str, dsn: str, home: Path, **settings: str) -> None:
        self.name, self.dsn = name, dsn
        self.stack = Stack(home, DATABASE_URL=of_daemons(dsn), **settings)
        self.stack.home.create()
        self._process: ForkedDaemon | None = None

    def start(self, failpoints: str = "") -> None:
        self._process = ForkedDaemon(
            ("-m", f"daemons.{self.name.replace('-', '_')}"),
            self.stack.env | {"ORDERDECK_FAILPOINTS": failpoints},
            self.stack.home.logs / "log",
        )

    async def wait_until_killed(self) -> None:
        """Wait until a failpoint has killed the daemon, and let the leases that it held run out."""
        assert self._process is not None
        code = await asyncio.to_thread(self._process.wait, 60)
        assert code == -signal.SIGKILL, (self.stack.home.logs / "log").read_text()[-2_000:]
        owner = await asyncpg.connect(self.dsn)
        await owner.execute("UPDATE sagas SET due_at = now() WHERE due_at > now()")
        await owner.close()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def daemon_over(name: str, dsn: str, home: Path, **settings: str) -> Iterator[Daemon]:
    daemon = Daemon(name, dsn, home, **settings)
    try:
        yield daemon
    finally:
        daemon.kill()


@pytest.mark.parametrize("point", points_of("saga-runner"))
async def test_a_saga_whose_runner_died_at_a_failpoint_comes_to_the_same_end(
    desk: Desk, dsn: str, tmp_path: Path, point: str
) -> None:
    undoes = point.endswith("mid_compensation")
    await desk.stock(A=5)
    order = await desk.place("test_card_fail" if undoes else "card")
    (tmp_path / "sandbox").mkdir()
    with (
        SandboxProcess(tmp_path / "sandbox") as sandbox,
        daemon_over("saga-runner", dsn, tmp_path / "home", ORDERDECK_PAYMENT_URL=sandbox.url) as runner,
    ):
        if point.endswith("after_claim"):  # there is nothing to claim before another has begun
            runner.start("saga-runner.after_record=1")
            await runner.wait_until_killed()
        runner.start(f"{point}=1")
        await runner.wait_until_killed()
        assert deaths(runner.stack.home.written_by_daemons)[-1] == point
        assert Counter(await desk.domain(order)) != (DECLINED if undoes else UNDISTURBED), "it died on the way"
        runner.start()
        assert await desk.ended(order) == ("SagaCompensated" if undoes else "SagaCompleted")
        assert Counter(await desk.domain(order)) == (DECLINED if undoes else UNDISTURBED)
        async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as provider:
            charges: list[dict[str, Any]] = (await provider.get("/ledger")).json()["charges"]
    assert [(charge["order_id"], charge["state"]) for charge in charges] == [
        (str(order), "DECLINED" if undoes else "AUTHORISED")
    ]


@pytest.mark.parametrize("point", points_of("projector"))
async def test_read_models_whose_projector_died_at_a_failpoint_have_every_event_once(
    desk: Desk, dsn: str, tmp_path: Path, point: str
) -> None:
    await desk.stock(A=100)
    orders = [await desk.place(A=2) for _ in range(5)]
    with daemon_over("projector", dsn, tmp_path) as projector:
        projector.start(f"{point}=1")
        await projector.wait_until_killed()
        assert deaths(tmp_path) == [point]
        if point.endswith("after_poll"):
            assert (await contents(dsn))["order_views"] == []
        projector.start()

        async def full_read_models() -> dict[str, Any] | None:
            found = await contents(dsn)
            return found if len(found["order_views"]) == len(orders) else None

        found = await eventually(full_read_models, 60)
        assert [row["orders"] for row in found["daily_sales"]] == [len(orders)]
        assert [row["units_ordered"] for row in found["product_demand"]] == [2 * len(orders)]


@pytest.mark.parametrize("point", points_of("command-api"))
async def test_a_customer_who_repeats_a_request_after_the_api_died_at_a_failpoint_has_one_order(
    desk: Desk, dsn: str, tmp_path: Path, point: str
) -> None:
    with daemon_over("command-api", dsn, tmp_path) as api:
        async with httpx.AsyncClient(base_url=api.stack.url, trust_env=False, timeout=10) as http:

            async def placed() -> OrderId | None:
                with contextlib.suppress(httpx.TransportError):
                    answer = await http.post("/api/v1/orders", json=ORDER, headers={"Idempotency-Key": "one"})
                    return answer.json()["order_id"] if answer.status_code == 201 else None
                return None

            async def until_it_died() -> None:
                while point not in deaths(tmp_path):
                    assert await placed() is None, "it never answers"

            api.start(f"{point}=1")
            await asyncio.wait_for(until_it_died(), 60)
            await api.wait_until_killed()
            api.start()
            order = await eventually(placed, 60)
    created = [event for event in await desk.log() if event.event_type == "OrderCreated"]
    assert [str(event.stream) for event in created] == [order]


def test_a_seed_makes_a_failpoint_strike_at_the_same_passes_and_at_others_in_the_next_process(tmp_path: Path) -> None:
    def passes(seed: int, home: Path) -> list[bool]:
        home.mkdir(exist_ok=True)
        points = Failpoints("projector", home, seed, {"projector.after_poll": 0.5})
        return [points.hit("after_poll") for _ in range(64)]

    first = passes(1, tmp_path / "a")
    assert passes(1, tmp_path / "b") == first != passes(2, tmp_path / "c")
    assert passes(1, tmp_path / "a") != first
    assert deaths(tmp_path / "a") == []
    assert not Failpoints("projector", tmp_path, 1, {"projector.after_poll": 1}).hit("after_commit")
