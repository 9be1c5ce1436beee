"""What administrators look at over HTTP, page by page, and how they have snapshots forgotten, which is in the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.domain.message import Sku, inventory_stream
from tests.support.command_api import CommandApi, command_api, problem
from tests.support.notifying import until
from tests.support.orders import Sample, order_id, write
from tests.support.query_api import QueryApi, database, query_api

LOG = Sample(20, payments=True).events()
ID = order_id(3)


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[QueryApi]:
    async with (
        database(postgres, template, "inspected") as dsn,
        query_api(dsn, tmp_path_factory.mktemp("inspected")) as api,
    ):
        await write(dsn, LOG)
        await api.project()
        yield api


async def test_a_correlation_finds_the_events_of_an_order_in_every_stream_page_by_page(api: QueryApi) -> None:
    expected = [str(event.event_id) for event in reversed(LOG) if event.correlation_id == ID]
    assert len({event.category for event in LOG if event.correlation_id == ID}) == 2
    for name in ("correlation_id", "order_id"):
        seen: list[dict[str, Any]] = []
        asked: dict[str, Any] = {name: str(ID), "limit": 2}
        while asked.get("before", 1) is not None:
            page = await api.get("/api/v1/admin/events", **asked)
            seen += page["events"]
            asked["before"] = page["next_before"]
        assert [event["event_id"] for event in seen] == expected
        assert seen[0]["payload"]["order_id"] == str(ID)


async def test_streams_are_listed_by_category_and_prefix_and_one_is_shown_with_its_events(api: QueryApi) -> None:
    streams = sorted({str(event.stream) for event in LOG if event.category == "order"})
    first = await api.get("/api/v1/admin/streams", category="order", limit=15)
    rest = await api.get("/api/v1/admin/streams", category="order", limit=15, after=first["next_after"])
    assert [row["stream_id"] for row in first["streams"] + rest["streams"]] == streams
    one = await api.get("/api/v1/admin/streams", prefix=str(ID).replace("-", ""))
    assert [row["stream_id"] for row in one["streams"]] == [str(ID)]
    events = [event for event in LOG if event.stream == ID]
    shown = await api.get(f"/api/v1/admin/streams/{ID}", limit=1, after=1)
    assert (shown["stream"]["version"], shown["stream"]["last_type"]) == (len(events), events[-1].event_type)
    assert ([event["version"] for event in shown["events"]], shown["next_after"]) == ([2], 2)
    await api.get(f"/api/v1/admin/streams/{uuid4()}", 404)
    highest = "f" * 8 + "-ffff-ffff-ffff-" + "f" * 12
    for of in ("streams", "snapshots"):
        assert (await api.get(f"/api/v1/admin/{of}", after=highest))[of] == []


async def test_checkpoints_have_the_readers_and_where_they_are(api: QueryApi) -> None:
    found = {row["reader"]: row for row in (await api.get("/api/v1/admin/checkpoints"))["checkpoints"]}
    assert (found["projector.orders"]["position"], found["projector.orders"]["lag_events"]) == (len(LOG), 0)
    assert (found["projector.orders"]["group"], found["projector.orders"]["generation"]) == ("orders", None)


@pytest.fixture
async def commands(postgres: EmbeddedPostgres, template: str, tmp_path: Path) -> AsyncIterator[CommandApi]:
    async with command_api(postgres, template, tmp_path) as ready:
        yield ready


async def test_an_admin_forgets_snapshots_which_harms_nothing_and_is_in_the_audit(
    commands: CommandApi, tmp_path: Path
) -> None:
    path = "/api/v1/admin/snapshots"
    streams = [inventory_stream(Sku(name)) for name in ("ONE", "TWO", "THREE")]
    connection = await connect(commands.dsn, name="test")
    try:
        for name in ("ONE", "TWO", "THREE"):
            assert (await commands.receive(name, {"quantity": 5})).status_code == 201
        await connection.execute(
            "SELECT keep_snapshots($1, $2, $3, $4, $5)",
            streams, ["inventory"] * 3, [1] * 3, [b"\x01" * 32] * 3, ["{}"] * 3,
        )  # fmt: skip
        async with query_api(commands.dsn, tmp_path) as queries:
            listed = await queries.get(path, limit=2)
            assert [row["stream_id"] for row in listed["snapshots"]] == sorted(map(str, streams))[:2]
            one = await queries.get(path, stream_id=str(streams[0]))
            assert [row["stream_id"] for row in one["snapshots"]] == [str(streams[0])]
            by_ana = {"Orderdeck-Actor": "ana"}
            for forgotten in (1, 0):
                answer = await commands.http.post(f"{path}/{streams[0]}/forget", headers=by_ana)
                assert (answer.status_code, answer.json()) == (200, {"forgotten": forgotten})
            answer = await commands.http.post(f"{path}/forget", headers=by_ana)
            assert answer.json() == {"forgotten": 2}
            assert (await queries.get(path))["snapshots"] == []
        assert (await commands.receive("ONE", {"quantity": 5})).json()["version"] == 2
        problem(await commands.http.post(f"{path}/1/forget"), 400, "validation_failed", "stream_id")
        problem(await commands.http.post(f"{path}/forget?dry_run=true"), 400, "validation_failed", "dry_run")
        problem(await commands.http.post(f"{path}/forget", content=b"{"), 415, "unsupported_media_type")
        await until(lambda: _audited(connection, streams[0]))
    finally:
        await connection.close()


async def _audited(connection: Any, stream: Any) -> bool:
    rows = await connection.fetch(
        "SELECT action, target, status FROM audit WHERE on_behalf_of = 'ana' AND outcome = 'done' ORDER BY position"
    )
    one, everything = "POST /api/v1/admin/snapshots/{stream_id}/forget", "POST /api/v1/admin/snapshots/forget"
    return [tuple(row) for row in rows] == [(one, str(stream), 200)] * 2 + [(everything, "", 200)]
