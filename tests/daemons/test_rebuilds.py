"""Rebuilds over HTTP: read models are made anew while orders come in, lists are read and daemons are killed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
from msgspec.structs import replace

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.command_api import command_api
from tests.support.daemon_process import DaemonProcess
from tests.support.logins import of_daemons
from tests.support.orders import Sample, contents, write
from tests.support.projecting import project
from tests.support.query_api import QueryApi, query_api

PATH = "/api/v1/admin/rebuilds"
LIST = "/api/v1/orders"


async def until(said: Callable[[], Awaitable[Any]], within: float = 60) -> Any:
    async with asyncio.timeout(within):
        while not (answer := await said()):
            await asyncio.sleep(0.05)
    return answer


async def read_on(api: QueryApi, stop: asyncio.Event, seen: dict[str, int]) -> int:
    """Read lists again and again. None of them is empty, mixed, or lacks what an earlier one has shown."""
    reads, best = itertools.count(1), 0
    while not stop.is_set():
        page = await api.get(LIST, limit=100, customer_id="old")
        # Rows of before have this customer, whom no event names: a page is all theirs, or empty as its count says.
        assert (page["total"] > 0) == bool(page["orders"]), page["total"]
        page = await api.get(LIST, limit=100)
        shown = {order["order_id"]: order["version"] for order in page["orders"]}
        assert len(shown) == min(100, page["total"])
        assert page["total"] >= best
        best = page["total"]
        assert len({order["customer_id"] == "old" for order in page["orders"] if order["order_id"] in seen}) == 1
        for order, version in seen.items():
            assert shown.get(order, 0) >= version, order
        seen.update({order: version for order, version in shown.items() if order in seen})
        assert sum(day["orders"] for day in (await api.get("/api/v1/stats"))["days"]) >= len(seen)
        count = next(reads)
        await asyncio.sleep(0.02)  # what a reader does with a page
    return count


async def test_rebuilds_are_switched_in_while_orders_come_in_and_everything_is_killed(  # noqa: PLR0915 - one story
    postgres: EmbeddedPostgres, template: str, tmp_path: Path
) -> None:
    async with command_api(postgres, template, tmp_path) as commands, query_api(commands.dsn, tmp_path) as queries:
        dsn = commands.dsn

        async def act(verb: str, status: int = 200, **body: Any) -> Mapping[str, Any]:
            answer = await commands.http.post(f"{PATH}{verb}", json={"group": "orders", **body})
            assert answer.status_code == status, answer.text
            return answer.json()

        async def newest(state: str) -> Any:
            rows = (await queries.get(PATH))["rebuilds"]
            return next((row for row in rows if row["group"] == "orders" and row["state"] == state), None)

        assert (await act("", 404, group="nothing"))["error"] == "there is no group of read models nothing"
        assert (await act("", 400, max_rate=0))["errors"][0]["field"] == "max_rate"
        assert "no rebuild of orders is under way" in (await act("/cancel", 400))["error"]
        assert "no older read models of orders are kept" in (await act("/switch-back", 400))["error"]
        assert "no older read models of orders are kept" in (await act("/drop-old", 400))["error"]
        assert (await commands.http.post(f"{PATH}?dry_run=true", json={"group": "orders"})).json()["dry_run"]
        assert (await queries.get(PATH))["rebuilds"] == []

        log = Sample(60, payments=True, open_at_once=60).events()
        begun = next(n for n in range(len(log)) if sum(e.event_type == "OrderCreated" for e in log[:n]) == 60)
        await write(dsn, log[:begun])
        await project(lambda: connect(dsn, name="test"))
        owner = await asyncpg.connect(dsn)
        await owner.execute(
            "UPDATE order_views SET customer_id = 'old',"
            ' document = (document::jsonb || \'{"customer_id": "old"}\')::text'
            "; INSERT INTO customer_summaries SELECT 'old', currency, sum(orders), sum(spent), max(last_order_at)"
            "  FROM customer_summaries GROUP BY currency"
        )
        page = await queries.get(LIST, limit=100)
        seen = {order["order_id"]: order["version"] for order in page["orders"]}
        assert len(seen) == 60

        projector = DaemonProcess("projector", dsn, tmp_path)
        projector.start()
        stop = asyncio.Event()
        reading = [asyncio.create_task(read_on(queries, stop, dict(seen))) for _ in range(3)]

        async def come_in() -> None:
            for event in log[begun:]:
                written = False
                while not written:  # an act may be recorded at the same position at this moment
                    head = await owner.fetchval("SELECT max(position) FROM events")
                    try:
                        await write(dsn, [replace(event, position=head + 1)])
                        written = True
                    except asyncpg.UniqueViolationError:
                        continue
                await asyncio.sleep(0.01)

        try:
            # The projector and its builder are killed while it is slow, and go on where they were.
            await act("", max_rate=max(1, begun // 4), check="all", reason="spoilt rows")
            assert "a rebuild of orders is under way" in (await act("", 400, max_rate=1))["error"]
            again = await act("")
            assert again["version"] == 1  # one is under way: nothing is recorded
            await until(lambda: newest("building"))
            coming = asyncio.create_task(come_in())

            async def is_under_way() -> bool:
                row = await newest("building")
                return row is None or row["position"] > 10

            await until(is_under_way)
            projector.kill()
            projector.start()
            await until(lambda: newest("live"))
            await asyncio.sleep(0.2)
            assert (await queries.get(LIST, customer_id="old"))["total"] == 0
            # Back to the tables of before, whose spoilt rows are there again, and forward.
            await act("/switch-back", reason="the new ones are wrong")
            await until(lambda: newest("kept"))

            async def reads_the_old() -> bool:
                return (await queries.get(LIST, customer_id="old"))["total"] > 0

            await until(reads_the_old)
            await act("/switch-back")

            async def reads_the_new() -> bool:
                return (await queries.get(LIST, customer_id="old"))["total"] == 0

            await until(reads_the_new)
            await coming
            # It is killed in whatever phase it is then; what was begun ends all the same, and only once.
            for after in (0.1, 0.35, 0.6):
                before = (await newest("live"))["id"]
                await act("")
                await asyncio.sleep(after)
                projector.kill()
                projector.start()

                async def another_is_read(before: int = before) -> bool:
                    row = await newest("live")
                    return row is not None and row["id"] != before

                await until(another_is_read)
            await act("", max_rate=20)
            await until(lambda: newest("building"))
            await act("/cancel")
            await until(lambda: newest("cancelled"))
            assert "no rebuild of orders is under way" in (await act("/cancel", 400))["error"]
            await act("/drop-old")
            await until(lambda: newest("dropped"))
        finally:
            stop.set()
            projector_output = projector.output()
            counts = await asyncio.gather(*reading)
            projector.kill()
        assert min(counts) > 20
        assert "exception" not in projector_output

        async def nothing_is_left() -> bool:
            schemas = await owner.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%generation%'")
            return not schemas and not await owner.fetchval("SELECT count(*) FROM checkpoints WHERE reader LIKE '%@%'")

        projector.start()
        await until(nothing_is_left)

        async def has_caught_up() -> bool:
            at = await owner.fetchval("SELECT min(position) FROM checkpoints WHERE reader LIKE 'projector.%'")
            return at == await owner.fetchval("SELECT max(position) FROM events")

        await until(has_caught_up)
        projector.kill()
        found = await contents(dsn)
        await owner.execute("UPDATE checkpoints SET position = 0 WHERE reader LIKE 'projector.%'")
        await project(lambda: connect(of_daemons(dsn), name="test"))
        assert found == await contents(dsn)  # every event once in what is read
        acts = await owner.fetch("SELECT event_type, payload FROM events WHERE category = 'reader' ORDER BY position")
        assert [row[0] for row in acts][:3] == ["RebuildStarted", "RebuildSwitchedBack", "RebuildSwitchedBack"]
        await owner.close()
