"""Commands over HTTP while the database has a fault: 500 without SQL, one traceback, and 201 after the repair."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.command_api import CommandApi, command_api, problem
from tests.support.customers import eventually

BREAKS = "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC, orderdeck_app"
MENDS = "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO orderdeck_app"


@pytest.fixture
async def api(postgres: EmbeddedPostgres, template: str, tmp_path: Path) -> AsyncIterator[CommandApi]:
    async with command_api(postgres, template, tmp_path) as ready:
        yield ready


async def test_ready_names_a_missing_grant_until_a_command_is_recorded_again(api: CommandApi) -> None:
    await api.placed_order()
    owner = await asyncpg.connect(api.dsn)
    await owner.execute(BREAKS)
    answers = await asyncio.gather(
        *(api.create(X_Request_Id=f"request-{n}", traceparent=f"00-{n + 1:032x}-{n + 1:016x}-00") for n in range(5))
    )
    for n, answer in enumerate(answers):
        problem(answer, 500, "internal_error")
        assert answer.headers["x-request-id"] == f"request-{n}"
        assert not any(word in answer.text for word in ("SELECT", "append_audited", "permission"))
    ready = await api.http.get("/ready")
    assert ready.status_code == 503
    assert "permission denied for function append_audited (POST /api/v1/orders" in ready.json()["reason"]

    await owner.execute(MENDS)
    await owner.close()
    await api.placed_order()

    async def is_ready() -> bool | None:
        return True if (await api.http.get("/ready")).status_code == 200 else None

    await eventually(is_ready, 20)  # the answer is on its way before it is noted
    lines = [json.loads(line) for line in api.output().splitlines() if line.startswith("{")]
    failed = [line for line in lines if line["event"] == "request_failed"]
    assert sorted(line["request_id"] for line in failed) == [f"request-{n}" for n in range(5)]
    for line in failed:  # although no traces are sent anywhere
        assert int(line["trace_id"], 16) == int(line["span_id"], 16) == int(line["request_id"][-1]) + 1
    assert sum("Traceback" in line.get("exception", "") for line in failed) == 1
