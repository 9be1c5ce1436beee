"""A column of a read model is dropped under a running stack: every program reports it and goes on once it is back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.support.command_api import ORDER
from tests.support.stack import Stack, until

BREAK = "ALTER TABLE customer_summaries RENAME COLUMN spent TO away"
MEND = "ALTER TABLE customer_summaries RENAME COLUMN away TO spent"


async def owner(stack: Stack, statement: str) -> None:
    connection = await asyncpg.connect(stack.home.dsn("orderdeck"))
    await connection.execute(statement)
    await connection.close()


def get(stack: Stack, service: str, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{stack.port(service)}{path}", trust_env=False, timeout=20)


def place(stack: Stack) -> str:
    answer = httpx.post(f"{stack.url}/api/v1/orders", json=ORDER, trust_env=False, timeout=20)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["order_id"])


def reasons(stack: Stack) -> dict[str, str]:
    return {program["name"]: program["reason"] for program in stack.status()["programs"]}


def pids(stack: Stack) -> dict[str, int]:
    return {program["name"]: program["pid"] for program in stack.status()["programs"]}


def logged(log: Path, since: int) -> list[dict[str, Any]]:
    lines = log.read_text()[since:].splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def tracebacks(lines: list[dict[str, Any]]) -> int:
    return sum("Traceback" in str(line.get("exception", "")) for line in lines)


async def test_every_program_names_a_missing_column_and_goes_on_once_it_is_back(stack: Stack) -> None:
    summary = f"/api/v1/customers/{ORDER['customer_id']}/summary"
    place(stack)
    until(lambda: get(stack, "query", summary).status_code == 200)
    before = pids(stack)
    logs = {name: stack.home.logs / f"{name}.log" for name in ("projector", "query-api")}
    since = {name: len(log.read_text()) for name, log in logs.items()}

    await owner(stack, BREAK)
    try:
        during = place(stack)
        until(lambda: "spent" in get(stack, "projector", "/ready").json().get("reason", ""))
        answers = [get(stack, "query", summary) for _ in range(3)]
        until(lambda: "undefined column (42703)" in reasons(stack)["projector"])
        ready = get(stack, "query", "/ready")
        status = stack.orderdeck("status").stdout
    finally:
        await owner(stack, MEND)

    for answer in answers:
        assert answer.status_code == 500
        problem = answer.json()
        assert (problem["status"], problem["code"]) == (500, "internal_error")
        assert "retry-after" not in answer.headers
        assert not any(word in answer.text for word in ("SELECT", "spent", "customer_summaries", "asyncpg"))
        assert answer.headers["x-request-id"] in problem["detail"]
    assert ready.status_code == 503
    assert 'column "spent" does not exist' in ready.json()["reason"]
    assert "GET /api/v1/customers/{customer_id}/summary" in ready.json()["reason"]
    [line] = [line for line in status.splitlines() if line.startswith("projector")]
    assert "undefined column (42703)" in line

    until(lambda: get(stack, "query", summary).status_code == 200)
    until(lambda: stack.status()["ready"], seconds=30)
    assert pids(stack) == before, "nobody ended"
    until(lambda: get(stack, "query", "/api/v1/projections").json()["projections"][0]["lag"]["events"] == 0)
    assert get(stack, "query", f"/api/v1/orders/{during}").status_code == 200
    for name, log in logs.items():
        lines = logged(log, since[name])
        assert tracebacks(lines) == 1, name
    events = [line["event"] for line in logged(logs["projector"], since["projector"])]
    assert events == ["meets a fault", "works again"], "once each, not once a try"
    served = [line for line in logged(logs["query-api"], since["query-api"]) if line["event"] == "request_failed"]
    assert [line["request_id"] for line in served][:3] == [answer.headers["x-request-id"] for answer in answers]
