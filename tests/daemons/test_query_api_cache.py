"""The query API with REDIS_URL: answers, /ready and /metrics say how the cache is used, and what is wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.bootstrap import bootstrap, open_read_models
from core.projections import ORDERS
from core.services.project import Projector
from core.settings import load_settings
from tests.support.logins import of_daemons
from tests.support.orders import Sample, order_id, write
from tests.support.query_api import QueryApi, query_api
from tests.support.redis_server import RedisServer

ORDER = order_id(1)


@contextlib.asynccontextmanager
async def projecting(dsn: str, home: Path) -> AsyncIterator[None]:
    settings, stop = load_settings(database_url=of_daemons(dsn), home=home), asyncio.Event()
    async with bootstrap(settings, name="projector") as app, open_read_models(app, ORDERS) as read_models:
        projector = Projector(ORDERS, read_models)
        running = asyncio.create_task(projector.run(app.subscription(), stop))
        try:
            while projector.position < await app.store.head():
                await asyncio.sleep(0.01)
            yield
        finally:
            stop.set()
            await running


async def cache_of(api: QueryApi) -> tuple[str | None, str | None]:
    response = await api.client.get(f"/api/v1/orders/{ORDER}")
    assert response.status_code == 200
    return response.headers.get("x-cache"), response.headers.get("age")


def is_hit(used: str | None, age: str | None) -> bool:
    return used == "hit" and age is not None and 0 <= int(age) < 20  # seconds; a busy machine takes some


async def metrics(api: QueryApi) -> Mapping[str, float]:
    text = (await api.client.get("/metrics")).text
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("orderdeck_cache")
    }


async def test_answers_say_how_the_cache_was_used_and_are_the_same_without_redis(
    dsn: str, tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    await write(dsn, Sample(5, payments=True).events())
    path = f"/api/v1/orders/{ORDER}"
    async with projecting(dsn, tmp_path), query_api(dsn, tmp_path) as api:
        while (used := await cache_of(api)) == ("bypass", None):  # until both have connected
            await asyncio.sleep(0.01)
        assert used == ("miss", None) or is_hit(*used)
        while not is_hit(*await cache_of(api)):
            await asyncio.sleep(0.01)
        cached = await api.client.get(path)
        assert (await api.client.get(f"/api/v1/orders/{uuid4()}")).status_code == 404
        assert (await api.client.get(path, params={"min_version": 99})).status_code == 409
        ready = (await api.client.get("/ready")).json()
        assert (ready["status"], ready.get("degraded")) == ("ready", None)
        shown = await metrics(api)
        assert shown["orderdeck_cache_reads_totalhit"] >= 2
        assert 0 < shown["orderdeck_cache_hit_ratio"] <= 1
        assert shown["orderdeck_cache_usable"] == 1
        redis_server.kill()
        try:
            for _ in range(3):
                again = await api.client.get(path)
                assert (again.content, again.headers["x-cache"]) == (cached.content, "bypass")
            ready = (await api.client.get("/ready")).json()
            assert ready["status"] == "ready"
            assert "orders are not cached: Redis at 127.0.0.1:" in ready["degraded"]
            shown = await metrics(api)
            assert shown["orderdeck_cache_errors_total"] >= 1
            assert shown["orderdeck_cache_usable"] == 0
        finally:
            redis_server.start()


async def test_without_redis_every_answer_says_bypass_and_no_metric_of_a_cache_is_shown(
    dsn: str, tmp_path: Path
) -> None:
    await write(dsn, Sample(1).events())
    async with projecting(dsn, tmp_path), query_api(dsn, tmp_path) as api:
        assert await cache_of(api) == ("bypass", None)
        assert await metrics(api) == {}
        document = (await api.client.get("/openapi.json")).json()
    headers = document["paths"]["/api/v1/orders/{order_id}"]["get"]["responses"]["200"]["headers"]
    assert headers["X-Cache"]["schema"]["enum"] == ["hit", "miss", "bypass"]
    assert (headers["X-Cache"]["required"], headers["Age"]["required"]) == (True, False)


async def test_a_query_api_whose_projector_has_no_redis_says_that_nobody_vouches_for_the_cache(
    dsn: str, tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(dsn, Sample(1).events())
    async with projecting(dsn, tmp_path):
        monkeypatch.setenv("REDIS_URL", redis_server.url)
        async with query_api(dsn, tmp_path) as api:
            said: str | None = None
            while said is None or "not been reached" in said:
                assert await cache_of(api) == ("bypass", None)
                said = (await api.client.get("/ready")).json().get("degraded")
            assert said == "orders are not cached: no projector vouches for the cached orders"
