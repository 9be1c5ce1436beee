"""Sagas over HTTP: lists of those that match, what all unfinished ones are at, and one with its lanes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from core.domain.message import SagaId, saga_of
from tests.support.one_order import SAGA, types, write_one_order
from tests.support.orders import order_id
from tests.support.query_api import QueryApi, query_api
from tests.support.saga_cases import make_unreadable
from tests.support.samples import ORDER_ID

SAGA_ROW = """
INSERT INTO sagas VALUES ($1, $2, 1, $3, $4, 'a_step', $5, $6, 1, $7, 0, now() + $8 * interval '1 s',
                          now() - $9 * interval '1 s', now())
"""


@pytest.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[QueryApi]:
    async with query_api(dsn, tmp_path) as api:
        yield api


async def insert_sagas(dsn: str) -> dict[str, SagaId]:
    """One in each state, the later named the older, and one that has ended."""
    rows: dict[str, tuple[Any, ...]] = {
        "running": ("RUNNING", 0, None, "runner-1", 20),
        "waiting": ("RUNNING", 0, None, None, 20),
        "retrying": ("COMPENSATING", 2, "the provider did not answer", None, 20),
        "overdue": ("RUNNING", 0, None, None, -60),
        "failed": ("FAILED", 9, "voided never", None, None),
        "ended": ("COMPLETED", 0, None, None, None),
    }
    connection = await asyncpg.connect(dsn)
    ids = {state: saga_of(order_id(n), "fulfil_order") for n, state in enumerate(rows)}
    for n, (state, (status, attempts, error, owner, due)) in enumerate(rows.items()):
        await connection.execute(
            SAGA_ROW, ids[state], "fulfil_order", order_id(n), status, attempts, error, owner, due, n
        )
    await connection.close()
    return ids


async def test_the_query_api_lists_sagas_by_state_status_and_order(api: QueryApi) -> None:
    ids = await insert_sagas(api.dsn)

    async def saga_ids(**asked: Any) -> list[str]:
        return [row["saga_id"] for row in (await api.get("/api/v1/sagas", **asked))["sagas"]]

    assert await saga_ids() == [str(id_) for id_ in ids.values()]
    for state in ("running", "waiting", "retrying", "overdue", "failed"):
        assert await saga_ids(state=state) == [str(ids[state])]
    assert await saga_ids(status="COMPLETED") == [str(ids["ended"])]
    assert await saga_ids(order_id=order_id(2)) == [str(ids["retrying"])]
    assert await saga_ids(state="failed,running, overdue") == [
        str(ids[one]) for one in ("running", "overdue", "failed")
    ]
    assert await saga_ids(status="COMPLETED,FAILED,FAILED") == [str(ids["failed"]), str(ids["ended"])]
    assert await saga_ids(status="RUNNING,FAILED", state="waiting,retrying") == [str(ids["waiting"])]
    assert await saga_ids(name="fulfil", error="DID not") == [str(ids["retrying"])]
    assert await saga_ids(error="e", state="failed") == [str(ids["failed"])]
    assert (
        await saga_ids(error="%")
        == await saga_ids(name="settle")
        == await saga_ids(error="e", status="COMPLETED")
        == []
    )
    some = ",".join(str(ids[one]) for one in ("ended", "failed", "waiting"))
    assert await saga_ids(saga_id=some, state="failed,waiting") == [str(ids["waiting"]), str(ids["failed"])]
    hundred = ",".join([some, *(str(uuid4()) for _ in range(97))])
    assert len(await saga_ids(saga_id=hundred)) == 3
    for wrong in (
        {"saga_id": f"{hundred},{uuid4()}"},
        {"saga_id": "x"},
        {"state": "failed,stuck"},
        {"status": "failed"},
    ):
        await api.get("/api/v1/sagas", 400, **wrong)
    [running, failed] = (await api.get("/api/v1/sagas", state="running,failed"))["sagas"]
    assert (running["held_by"], running["lease_until"]) == ("runner-1", running["due_at"])
    assert (failed["held_by"], failed["lease_until"]) == (None, None)
    summary = await api.get("/api/v1/sagas/summary")
    assert summary["states"] == dict.fromkeys(("running", "waiting", "retrying", "overdue", "failed"), 1) | {
        "expiring": 0
    }
    assert [(error["error"], error["count"]) for error in summary["errors"]] == [
        ("voided never", 1), ("the provider did not answer", 1),
    ]  # fmt: skip
    assert (failed["attempts"], failed["last_error"], failed["step"]) == (9, "voided never", "a_step")
    assert (await api.get("/api/v1/stats"))["sagas"] == {"RUNNING": 3, "COMPENSATING": 1, "FAILED": 1}


async def test_the_list_of_sagas_pages_forward_and_back(api: QueryApi) -> None:
    ids = [str(id_) for id_ in (await insert_sagas(api.dsn)).values()]
    first = await api.get("/api/v1/sagas", limit=4)
    second = await api.get("/api/v1/sagas", limit=4, cursor=first["next_cursor"])
    assert [row["saga_id"] for row in first["sagas"] + second["sagas"]] == ids
    assert second["next_cursor"] is None
    assert (await api.get("/api/v1/sagas", limit=4, cursor=second["prev_cursor"]))["sagas"] == first["sagas"]
    connection = await asyncpg.connect(api.dsn)
    await connection.execute("UPDATE sagas SET currency = 'USD', open_amount = 40.00 WHERE status = 'FAILED'")
    await connection.execute("UPDATE sagas SET currency = 'JPY', open_amount = 4001 WHERE status = 'COMPENSATING'")
    await connection.close()
    worst = await api.get("/api/v1/sagas", sort="-at_risk", limit=1)
    next_ = await api.get("/api/v1/sagas", sort="-at_risk", limit=9, cursor=worst["next_cursor"])
    assert [row["at_risk"] for row in worst["sagas"] + next_["sagas"]] == [4001, 4000, 0, 0, 0]
    assert (worst["sagas"][0]["open_amount"], worst["sagas"][0]["currency"]) == (4001, "JPY")
    await api.get("/api/v1/sagas", 400, cursor=worst["next_cursor"])
    assert (await api.get("/api/v1/sagas/summary"))["money_open"] == {"USD": 40.00, "JPY": 4001}


async def test_a_saga_shows_its_steps_and_events(api: QueryApi) -> None:
    await write_one_order(api.dsn)
    connection = await asyncpg.connect(api.dsn)
    await connection.execute(SAGA_ROW, SAGA, "fulfil_order", ORDER_ID, "COMPLETED", 0, None, None, None, 1)
    await connection.close()
    saga = await api.get(f"/api/v1/sagas/{SAGA}")
    assert saga["steps"] == {
        "open_order": "COMPLETED", "reserve_inventory": "PENDING", "authorize_payment": "RUNNING",
        "confirm_order": "PENDING",
    }  # fmt: skip
    assert types(saga) == ["SagaStarted", "SagaStepCompleted", "SagaStepStarted", "SagaCompleted"]
    assert (saga["state"], saga["about"]) == (None, None)
    third = saga["lanes"][2]
    assert (third["step"], third["does"], third["undo"]) == (
        "authorize_payment", "authorise the payment", "void the payment",
    )  # fmt: skip
    assert (third["status"], third["undo_status"], third["open"]) == ("RUNNING", "NOT_NEEDED", [])
    [listed] = (await api.get("/api/v1/sagas"))["sagas"]
    assert listed["steps"] == saga["steps"]
    await api.get(f"/api/v1/sagas/{uuid4()}", 404)


async def test_a_saga_that_cannot_be_read_is_shown_as_far_as_possible_and_hides_no_other(api: QueryApi) -> None:
    await write_one_order(api.dsn)
    ids = await insert_sagas(api.dsn)
    connection = await asyncpg.connect(api.dsn)
    await connection.execute(SAGA_ROW, SAGA, "fulfil_order", ORDER_ID, "FAILED", 0, None, None, None, 99)
    await connection.close()
    await make_unreadable(api.dsn, SAGA)
    saga = await api.get(f"/api/v1/sagas/{SAGA}")
    assert saga["steps"]["open_order"] == "COMPLETED"
    assert types(saga)[-1] == "FromALaterRelease"
    *others, last = (await api.get("/api/v1/sagas"))["sagas"]
    assert [other["saga_id"] for other in others] == [str(id_) for id_ in ids.values()]
    assert "cannot be read" in last["open"]["items"][0]
