"""An answer to a request with `min_position` says how far it shows, or it is no answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from tests.support.orders import Sample, order_id, write
from tests.support.query_api import query_api

WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = $1::regclass)"


@pytest.mark.parametrize(
    ("path", "table"),
    [("orders", "order_views"), (f"orders/{order_id(1)}", "order_views"), ("inventory", "inventory_levels")],
)
async def test_an_answer_whose_position_cannot_be_told_any_more_is_503(
    dsn: str, tmp_path: Path, path: str, table: str
) -> None:
    log = [*Sample(1, seed=3).events()]
    async with query_api(dsn, tmp_path) as api:
        await write(dsn, log)
        await api.project()
        whole = await api.client.get(f"/api/v1/{path}", params={"min_position": len(log)})
        assert whole.headers["orderdeck-position"] == str(len(log))
        assert "orderdeck-position" not in (await api.client.get(f"/api/v1/{path}")).headers

        reads, positions = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
        held = reads.transaction()
        await held.start()
        await reads.execute(f"LOCK TABLE {table}")
        asked = asyncio.create_task(api.client.get(f"/api/v1/{path}", params={"min_position": len(log)}))
        async with asyncio.timeout(10):
            while not await positions.fetchval(WAITS, table):
                await asyncio.sleep(0.01)
        async with positions.transaction():  # the answer is being read; where its readers are cannot be any more
            await positions.execute("LOCK TABLE checkpoints")
            await held.rollback()
            answer = await asked
        assert answer.status_code == 503, answer.headers
        assert answer.json()["code"] == "unavailable"
        await reads.close()
        await positions.close()
