"""Who holds what: shares and sagas by process, in words, for processes of this home and of other machines."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from core.adapters.postgres.connection import Connection
from daemons.query_api.owners import in_words, ranges
from tests.support.ports import free_port
from tests.support.query_api import QueryApi, query_api

SHARE = """
INSERT INTO reader_shares (reader, share, position, owner, epoch, lease_until)
VALUES ($1, $2, 0, $3, 1, clock_timestamp() + make_interval(secs => $4))
"""
SAGA = """
INSERT INTO sagas (saga_id, name, definition, order_id, status, step, attempts, epoch, owner, claims, due_at,
                   started_at, updated_at)
VALUES ($1, 'fulfil_order', 1, $1, $2, 'open_order', 0, 1, $3, 1, now() + make_interval(secs => $4), now(),
        now())
"""
THERE = "desk-two:9:3.50"
STRANGE = "x\x1b[2J:pid:y"


@pytest.fixture
async def api(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[QueryApi]:
    for name in ("COMMAND", "PAYMENT", "PROJECTOR", "SAGA_RUNNER"):
        monkeypatch.setenv(f"ORDERDECK_{name}_PORT", str(free_port()))
    async with query_api(dsn, tmp_path) as api:
        yield api


async def test_each_process_is_told_with_what_it_holds_and_those_elsewhere_as_well(
    api: QueryApi, admin: Connection
) -> None:
    here = f"{socket.gethostname()}:{os.getpid()}:1.00"  # the query API of this test is this process
    for reader, share, owner, seconds in (
        ("projector", 0, here, 9), ("projector", 1, THERE, 9), ("projector.orders", 0, THERE, 9),
        *(("saga-runner", n, THERE, 9) for n in (0, 1, 2, 5)), ("saga-runner", 4, "ended:1:1", -9),
        ("relay", 0, STRANGE, 9),
    ):  # fmt: skip
        await admin.execute(SHARE, reader, share, owner, seconds)
    for status, owner, seconds in (
        ("RUNNING", THERE, 9), ("COMPENSATING", THERE, 9), ("COMPLETED", THERE, 9), ("RUNNING", THERE, -9),
        ("RUNNING", None, 9), ("RUNNING", here, 9),
    ):  # fmt: skip
        await admin.execute(SAGA, uuid4(), status, owner, seconds)
    answer = await api.get("/api/v1/daemons")
    ours = next(row for row in answer["daemons"] if row["name"] == "query-api")
    assert ([hold["what"] for hold in ours["holds"]], ours["sagas"]) == (["orders"], 1)
    assert (ours["holds"][0]["reader"], ours["holds"][0]["shares"]) == ("projector", [0])
    elsewhere = {row["host"]: row for row in answer["elsewhere"]}
    assert set(elsewhere) == {"desk-two", "x·[2J"}
    there = elsewhere["desk-two"]
    assert (there["pid"], there["sagas"]) == (9, 2)
    assert [hold["what"] for hold in there["holds"]] == ["stock", "orders 0", "starts 0-2,5"]
    assert all(hold["until"] for hold in there["holds"])
    assert elsewhere["x·[2J"]["pid"] is None


def test_shares_are_told_in_few_words() -> None:
    assert [ranges(numbers) for numbers in ([], [3], [0, 1], [0, 2, 3, 4, 9])] == ["", "3", "0-1", "0,2-4,9"]
    said = [in_words(*held) for held in (("projector", [0, 1]), ("projector", [7]), ("relay", [0]), ("new", [1]))]
    assert said == ["orders, stock", "7", "relay", "new 1"]


async def test_the_projector_that_has_read_models_made_anew_says_how_far_they_are(api: QueryApi, dsn: str) -> None:
    owner = await asyncpg.connect(dsn)
    await owner.execute(SHARE, "rebuild", 0, THERE, 60.0)
    assert [hold["what"] for hold in (await api.get("/api/v1/daemons"))["elsewhere"][0]["holds"]] == ["rebuild"]
    await owner.execute(
        "INSERT INTO generations (reader, tables, revision, purpose, state, requested_by, end_position, rate)"
        " VALUES ('projector.orders', '{}', '', 'as_of', 'building', 'ada', 1000, 60)"
    )
    await owner.execute(
        "INSERT INTO checkpoints (reader, position, revision)"
        " SELECT 'projector.orders@' || id, 400, '' FROM generations"
    )
    await owner.close()
    async with asyncio.timeout(20):
        while (told := (await api.get("/api/v1/daemons"))["elsewhere"][0]["holds"][0]["what"]) == "rebuild":
            await asyncio.sleep(0.1)  # an answer is given again for a second
    assert told == "rebuild orders 40 %, 60 ev/s, 10 s left"
    assert all("@" not in reader["name"] for reader in (await api.get("/api/v1/projections"))["readers"])
