"""GET /daemons: what each daemon says of itself, also when it is away, hangs, or is another program; it only looks."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.adapters.postgres.connection import Connection
from daemons.command_api import app as command_app
from daemons.http.openapi import document
from daemons.process.program_list import PROGRAMS
from daemons.query_api import app as query_app
from daemons.query_api import roll_call
from tests.support.anything import Anything
from tests.support.hostile_service import CHUNK, DRIPPING, ENDLESS, OSC, HostileService, answer, hostile_service
from tests.support.ports import free_port
from tests.support.query_api import QueryApi, query_api

NAMES = ["postgres", "payment-sandbox", "command-api", "query-api", "projector", "saga-runner"]


@pytest.fixture
def projector() -> Iterator[HostileService]:
    with hostile_service() as service:
        yield service


@pytest.fixture
async def api(
    dsn: str, tmp_path: Path, projector: HostileService, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[QueryApi]:
    monkeypatch.setattr(roll_call, "KEPT", 0.0)
    monkeypatch.setattr(roll_call, "WITHIN", 0.5)
    for name in ("COMMAND", "PAYMENT", "SAGA_RUNNER"):
        monkeypatch.setenv(f"ORDERDECK_{name}_PORT", str(free_port()))
    monkeypatch.setenv("ORDERDECK_PROJECTOR_PORT", projector.url.rpartition(":")[2])
    monkeypatch.setenv("ORDERDECK_NOTIFIER", "false")
    async with query_api(dsn, tmp_path) as api:
        yield api


async def rows(api: QueryApi) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in (await api.get("/api/v1/daemons"))["daemons"]}


def ready(**changes: Any) -> bytes:
    said = {"status": "ready", "service": "projector", "version": "1", "pid": 7, "uptime": 2.5}
    return answer(said | changes)


async def test_it_tells_of_every_daemon_whether_it_answers_and_is_ready(
    api: QueryApi, projector: HostileService
) -> None:
    projector.will(ready())
    daemons = await rows(api)
    assert list(daemons) == NAMES == [program.name for program in PROGRAMS if program.needs is None]
    assert (daemons["projector"]["ready"], daemons["projector"]["pid"], daemons["projector"]["uptime"]) == (
        True,
        7,
        2.5,
    )
    assert daemons["query-api"]["ready"]
    assert daemons["query-api"]["uptime"] >= 0
    assert daemons["postgres"]["ready"]
    assert daemons["command-api"] | {"reason": ""} == {
        "name": "command-api", "answers": False, "ready": False, "reason": "",
        "pid": None, "uptime": None, "version": None, "lag": None, "readers": [], "program": "command-api",
        "port": int(os.environ["ORDERDECK_COMMAND_PORT"]), "holds": [], "sagas": 0, "degraded": "",
    }  # fmt: skip
    assert daemons["command-api"]["reason"].startswith("does not answer at 127.0.0.1:")
    projector.will(ready(status="not ready", reason="orders: stands still at position 5 of 9"))
    assert (await rows(api))["projector"]["reason"] == "orders: stands still at position 5 of 9"
    projector.will(ready(degraded="orders are not cached: \x1b[2JRedis is away"))
    told = (await rows(api))["projector"]
    assert (told["ready"], told["degraded"]) == (True, "orders are not cached: ·[2JRedis is away")


async def test_a_daemon_that_hangs_or_has_ended_still_has_what_it_holds_until_its_lease_ends(
    api: QueryApi, projector: HostileService, admin: Connection
) -> None:
    projector.will(ready())
    await rows(api)
    await admin.execute(
        "INSERT INTO reader_shares (reader, share, position, owner, lease_until)"
        " VALUES ('projector.stock', 3, 0, $1, now() + '1 min')",
        f"{socket.gethostname()}:7:1.5",
    )
    projector.will(b"")
    found = await api.get("/api/v1/daemons")
    told = next(row for row in found["daemons"] if row["name"] == "projector")
    assert (told["answers"], told["pid"], [hold["what"] for hold in told["holds"]]) == (False, None, ["stock 3"])
    assert found["elsewhere"] == []


async def test_once_events_are_no_longer_copied_to_kafka_it_tells_where_the_copy_ends(
    api: QueryApi, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await api.get("/api/v1/daemons"))["frozen_copy"] is None, "nothing was ever copied"
    await admin.execute("INSERT INTO reader_shares (reader, share, position) VALUES ('relay', 0, 40)")
    await admin.execute("INSERT INTO checkpoints (reader, position, revision) VALUES ('relay', 40, '')")
    assert (await api.get("/api/v1/daemons"))["frozen_copy"] == {"position": 40, "events": 0}
    await admin.execute("UPDATE reader_shares SET owner = 'desk-two:12:1.5', lease_until = now() + '1 min'")
    assert (await api.get("/api/v1/daemons"))["frozen_copy"] is None, "a relay of another machine copies"


async def test_it_tells_how_far_the_readers_in_a_daemon_are(api: QueryApi) -> None:
    await api.project()
    daemons = await rows(api)
    assert [reader["name"] for reader in daemons["projector"]["readers"]] == ["projector.orders", "projector.stock"]
    assert daemons["projector"]["lag"] == {"events": 0, "seconds": 0.0}
    assert daemons["command-api"]["lag"] is None


async def test_an_answer_that_no_daemon_gives_is_told_and_hurts_nobody(
    api: QueryApi, projector: HostileService
) -> None:
    strange = {
        "nothing": answer(b""),
        "not JSON": answer(b"<html>" * 100),
        "a number without end": answer(b'{"service": "projector", "status": "ready", "pid": ' + b"9" * 9_000 + b"}"),
        "nested": answer(b"[" * 60_000),
        "endless": (ENDLESS, CHUNK, 0.0),
        "byte by byte": (DRIPPING, b" ", 0.05),
        "not HTTP": b"\x00\xff" * 50,
        "no length": b"HTTP/1.1 200 OK\r\n\r\n{",
    }
    for what, says in strange.items():
        projector.will(*says) if isinstance(says, tuple) else projector.will(says)
        began = time.monotonic()
        row = (await rows(api))["projector"]
        assert (row["answers"], row["ready"]) == (False, False), what
        assert row["reason"], what
        assert time.monotonic() - began < 3, what
    projector.will(ready(service="orders-service"))
    assert (await rows(api))["projector"]["reason"] == "at its port answers another program, orders-service"
    projector.will(ready(status="not ready", reason=OSC * 1_000))
    row = (await rows(api))["projector"]
    assert len(row["reason"]) <= 500
    assert json.dumps(row, ensure_ascii=False).isprintable()


async def test_many_callers_share_one_asking_and_a_database_that_is_away_is_one_row(
    api: QueryApi, projector: HostileService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll_call, "KEPT", 5.0)
    asked = 0
    ask = roll_call.RollCall._ask

    async def counted(self: Any, program: Any) -> Any:
        nonlocal asked
        asked += 1
        return await ask(self, program)

    monkeypatch.setattr(roll_call.RollCall, "_ask", counted)
    projector.will(ready())
    answers = await asyncio.gather(*[api.get("/api/v1/daemons") for _ in range(20)])
    assert asked == len(NAMES) - 1
    assert len({answer["asked_at"] for answer in answers}) == 1
    monkeypatch.setattr(roll_call, "KEPT", 0.0)

    async def hangs(_: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr("core.adapters.postgres.queries.queries.PostgresQueries.progress", hangs)
    daemons = await rows(api)
    assert daemons["postgres"]["reason"] == "the database has not answered within 0.5 s"
    assert daemons["projector"]["ready"]
    assert daemons["projector"]["lag"] is None


def test_no_route_of_any_service_starts_or_stops_a_daemon() -> None:
    makers: list[Any] = [query_app.make_app, command_app.make_app]
    documents = [make_app(*[Anything()] * make_app.__code__.co_argcount) for make_app in makers]
    routes = [
        (method, path) for service in documents for path, item in document(service)["paths"].items() for method in item
    ]
    assert [route for route in routes if "daemon" in route[1]] == [("get", "/api/v1/daemons")]
    assert not [path for _, path in routes if any(word in path for word in ("start", "stop", "kill", "supervisor"))]
