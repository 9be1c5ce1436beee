"""A note on an order over HTTP: it is an event of the order, moves its version on, and a key repeats its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.command_api import CommandApi, command_api, problem
from tests.support.query_api import query_api

NOTE = {"note": "ring twice"}


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CommandApi]:
    async with command_api(postgres, template, tmp_path_factory.mktemp("api")) as ready:
        yield ready


async def test_a_note_is_in_the_timeline_of_its_order_and_a_key_repeats_its_answer(
    api: CommandApi, tmp_path_factory: pytest.TempPathFactory
) -> None:
    order_id, key = await api.placed_order(), str(uuid4())
    first = await api.put(order_id, "note", NOTE, Idempotency_Key=key)
    assert (first.status_code, first.json()["status"], first.json()["version"]) == (200, "CREATED", 2)
    again = await api.put(order_id, "note", NOTE, Idempotency_Key=key)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    async with query_api(api.dsn, tmp_path_factory.mktemp("queries")) as queries:
        await queries.project()
        timeline = (await queries.get(f"/api/v1/orders/{order_id}/timeline"))["events"]
    assert [event["event_type"] for event in timeline] == ["OrderCreated", "OrderNoted"]
    assert timeline[1]["payload"]["note"] == "ring twice"


async def test_the_same_note_twice_is_recorded_once(api: CommandApi) -> None:
    order_id = await api.placed_order()
    answers = [await api.put(order_id, "note", NOTE) for _ in range(2)]
    assert [answer.json()["version"] for answer in answers] == [2, 2]
    assert await api.types(order_id) == ["OrderCreated", "OrderNoted"]


async def test_a_blank_note_and_a_note_on_no_order_are_refused(api: CommandApi) -> None:
    problem(await api.put(await api.placed_order(), "note", {"note": " "}), 400, "validation_failed", "note")
    problem(await api.put(uuid4(), "note", NOTE), 404, "not_found")
