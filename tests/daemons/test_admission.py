"""While too many sagas wait for a runner, the command API takes no new order, and whatever else it is asked goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.adapters.postgres.connection import Connection
from core.errors import BacklogFull, DatabaseFault, Unavailable
from core.fault_board import FaultBoard
from core.ports.sagas import READER, SHARES, Backlog
from core.services.execute import Terms
from daemons.command_api import admission as admissions
from daemons.command_api.admission import Admission
from tests.support.command_api import ORDER, CommandApi

MOST = 3


@pytest.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[CommandApi]:
    """A command API that lets three sagas wait. No runner is there."""
    api = CommandApi(dsn, tmp_path, {"ORDERDECK_MOST_WAITING_SAGAS": str(MOST)})
    try:
        await api.start()
        yield api
    finally:
        await api.close()


async def until_ready_says(api: CommandApi, words: str | None) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        answer = await api.http.get("/ready")
        assert answer.status_code == 200, "it is ready, whatever waits"
        if answer.json().get("degraded") == words:
            return answer.json()
        assert time.monotonic() < deadline, answer.json()
        await asyncio.sleep(0.05)


async def test_new_orders_are_refused_while_too_many_sagas_wait_and_taken_again_when_fewer_do(
    api: CommandApi, admin: Connection
) -> None:
    placed = [await api.create(Idempotency_Key=f"key-{n}") for n in range(MOST + 1)]
    assert [answer.status_code for answer in placed] == [201] * (MOST + 1)
    words = "more than 3 sagas wait for a runner, so no new order is taken for now"
    await until_ready_says(api, words)
    refused = await api.create(Idempotency_Key="another")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert (refused.json()["code"], refused.json()["detail"]) == ("backlog_full", words)
    assert (await api.create()).status_code == 503
    again = await api.create(Idempotency_Key="key-0")
    assert (again.status_code, again.json()) == (201, placed[0].json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await api.http.post("/api/v1/orders?dry_run=true", json=ORDER)).status_code == 200
    assert (await api.put(placed[0].json()["order_id"], "cancel", {"reason": "too long"})).status_code == 200
    assert (await api.receive("LAPTOP-001", {"quantity": 5})).status_code == 201
    metrics = (await api.http.get("/metrics")).text
    assert "orderdeck_command_api_refuses_orders 1.0" in metrics
    head = await admin.fetchval("SELECT max(position) FROM events")
    place = (
        "INSERT INTO reader_shares (reader, share, position) SELECT $1, n, $2 FROM generate_series(0, $3::int - 1) n"
    )
    await admin.execute(place, READER, head, SHARES)  # as if a runner had started them all
    await until_ready_says(api, None)
    assert (await api.create(Idempotency_Key="another")).status_code == 201
    assert "takes new orders again" in api.output()


class Waiting:
    """Counts what it is told to, or fails; `answered` knows one idempotency key."""

    def __init__(self, *comes: int | Exception) -> None:
        self._comes = list(comes)
        self.asked: list[int] = []

    async def backlog(self, *, most: int) -> Backlog:
        self.asked.append(most)
        come = self._comes.pop(0)
        if isinstance(come, Exception):
            raise come
        return Backlog(due=min(come, most), due_for=1.0, unstarted=0, unstarted_for=0.0)


async def admits(admission: Admission) -> bool:
    try:
        await admission.admit(Terms())
    except BacklogFull:
        return False
    return True


async def test_the_last_count_holds_while_nobody_can_count_and_a_fault_is_on_the_board(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admissions, "COUNT_EVERY", 0.001)
    sagas: Any = Waiting(10, 11, Unavailable("away"), DatabaseFault("undefined function"), 10)
    faults, seen = FaultBoard(), list[tuple[bool, bool]]()
    admission = Admission(sagas, sagas, 10, faults)
    real = sagas.backlog

    async def backlog(*, most: int) -> Backlog:
        seen.append((await admits(admission), faults.reason is None))
        return await real(most=most)

    sagas.backlog = backlog
    with pytest.raises(IndexError):
        await admission.keep()
    assert sagas.asked == [11] * 6, "one more than may wait, so that the count is bounded"
    assert [taken for taken, _ in seen] == [True, True, False, False, False, True]
    assert [well for _, well in seen] == [True, True, True, True, False, True]


async def test_nothing_is_counted_when_admission_is_off() -> None:
    sagas: Any = Waiting()
    admission = Admission(sagas, sagas, 0, FaultBoard())
    await admission.keep()
    assert await admits(admission)
    assert (sagas.asked, admission.degraded()) == ([], None)
