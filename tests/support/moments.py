"""Answers of the query API that were given while the log was at a position, to be asked for again later."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.generations import PostgresGenerations, opened_in
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.subscription import PostgresSubscription
from core.ports.generations import Generation
from core.projections import GROUPS
from core.services.build_generation import GenerationBuild
from tests.support.query_api import QueryApi

# What the log does not say of a saga, or what depends on the clock; `due_at` is the next try only after a failed one.
NOT_IN_THE_LOG = {"claimed", "due_at", "next_attempt_at", "held_by", "lease_until", "authorization_ends_in"} | {
    "saga_id",
    "saga_state",
    "open_amount",  # of an order in a list
    "backlog",
}
_SECONDS = re.compile(r"ends in \d+ s")  # of an authorisation


@dataclass
class Moment:
    """`answers`: what each path was answered when the log ended at `position`; None for 404."""

    position: int
    time: str
    answers: dict[str, Any]


@contextlib.asynccontextmanager
async def builder(dsn: str) -> AsyncIterator[None]:
    """Builds every generation that is asked for, as a projector does."""

    async def open_connection() -> Connection:
        return await connect(dsn, name="test", limits=False)

    generations = PostgresGenerations(open_connection)

    async def keep() -> None:
        while True:
            for generation in await generations.unfinished():
                await build(generation)
            await asyncio.sleep(0.02)

    async def build(generation: Generation) -> None:
        group = next(each for each in GROUPS if each.reader == generation.reader)
        read_models = PostgresReadModels(lambda: opened_in(open_connection, generation.id), group, generation.id)
        building = GenerationBuild(
            generation, group, read_models, generations, lambda: PostgresSubscription(open_connection), nothing_differs
        )
        await building.run(asyncio.Event())
        read_models.close()

    building = asyncio.create_task(keep())
    try:
        yield
    finally:
        building.cancel()
        await asyncio.gather(building, return_exceptions=True)
        generations.close()


async def nothing_differs(_: Generation) -> str:
    return ""


async def answer(api: QueryApi, path: str, **asked: Any) -> Any:
    """The answer, once it is not 202 any more."""
    async with asyncio.timeout(30):
        while (response := await api.client.get(with_query(path, asked))).status_code == 202:
            assert response.headers["Retry-After"] == "1"
            assert response.json()["status"] == "building"
            await asyncio.sleep(0.02)
    assert response.status_code in {200, 404}, f"{path} {asked}: {response.status_code} {response.text}"
    return without(response.json()) if response.status_code == 200 else None


def with_query(path: str, asked: Mapping[str, Any]) -> str:
    """The client would drop the query that a path has already."""
    return f"{path}{'&' if '?' in path else '?'}{urlencode(asked)}" if asked else path


def without(document: Any) -> Any:
    """The document without what the log does not say."""
    if isinstance(document, list):
        return [without(each) for each in document]
    if isinstance(document, str):
        return _SECONDS.sub("ends soon", document)
    if not isinstance(document, dict):
        return document
    return {name: without(value) for name, value in document.items() if name not in NOT_IN_THE_LOG}


async def moment_of(api: QueryApi, paths: Sequence[str]) -> Moment:
    """What all the paths are answered now, with read models that have all that the log has."""
    await api.project()
    log = await api.get("/api/v1/events", before=2**62, limit=1)
    [last] = log["events"]
    return Moment(log["head"], last["timestamp"], {path: await answer(api, path) for path in paths})
