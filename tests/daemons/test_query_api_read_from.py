"""Answers say whether the read model showed them, or the log, from which they are folded while the projector lags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.support.orders import Sample, order_id, write
from tests.support.query_api import query_api
from tests.support.samples import replenished
from tests.support.stored_events import stored_events


async def test_an_answer_says_whether_the_read_model_or_the_log_showed_it(dsn: str, tmp_path: Path) -> None:
    log = [*Sample(1, seed=3).events()]
    log.append(replace(stored_events([replenished])[0], position=len(log) + 1))
    order, stock = f"/api/v1/orders/{order_id(1)}", f"/api/v1/inventory/{replenished.sku}"
    async with query_api(dsn, tmp_path) as api:

        async def read_from(path: str, **params: Any) -> str:
            return (await api.client.get(path, params=params)).headers["orderdeck-read-from"]

        await write(dsn, log)
        for params in ({}, {"min_version": 2}, {"min_version": 1, "wait": 0.05}):
            assert await read_from(order, **params) == "log"  # no projector runs
        assert await read_from(stock) == "log"
        await api.project()
        for params in ({}, {"min_version": 2}, {"min_version": 1, "wait": 0.05}):
            assert await read_from(order, **params) == "view"
        assert await read_from(stock) == "view"
        document = await api.get("/openapi.json")
        for path in ("/api/v1/orders/{order_id}", "/api/v1/inventory/{sku}"):
            header = document["paths"][path]["get"]["responses"]["200"]["headers"]["Orderdeck-Read-From"]
            assert header["schema"]["enum"] == ["view", "log"]
