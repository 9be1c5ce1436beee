"""PostgreSQL crashes while two processes rebuild read models: they go on, and what they make is what the log says."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import asyncpg

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.generations import PostgresGenerations
from core.adapters.postgres.migrate import migrate
from core.errors import Unavailable
from core.ports.generations import Generation, NewGeneration
from core.projections import ORDERS
from core.services.build_generation import SHARES
from tests.support.daemon_process import DaemonProcess
from tests.support.logins import of_daemons
from tests.support.orders import Sample, contents, write
from tests.support.sharing import reached

ORDERS_PLACED = 150
RATE = 400  # events a second, so that there is time for crashes between two saves


async def test_a_rebuild_goes_on_after_crashes_of_the_database_and_is_switched_in(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "pg") as server:
        dsn = server.dsn("postgres")
        await migrate(dsn, of_daemons(dsn))
        log = Sample(ORDERS_PLACED, payments=True).events()
        await write(dsn, log)
        projector = DaemonProcess("projector", dsn, tmp_path)
        generations = PostgresGenerations(lambda: connect(of_daemons(dsn), name="test"))
        projector.start()
        try:
            await reached(dsn, len(log))
            before = await contents(dsn)
            await spoil(dsn)
            wanted = NewGeneration(purpose="rebuild", requested_by="ada", max_rate=RATE, check_all=True)
            projector.kill()
            asked = (await generations.request(ORDERS, wanted)).id
            await generations.make(asked)
            assert await generations.share(asked, SHARES)  # as a builder does with a long log
            projector.start()
            for share in (1 / 6, 1 / 2):
                await filled(generations, asked, share * len(log))
                await asyncio.to_thread(crash, server, tmp_path)
                assert (await seen(generations, asked)).state in ("waiting", "building")
            async with asyncio.timeout(60):
                while (await seen(generations, asked)).state != "live":
                    await asyncio.sleep(0.05)
            assert await contents(dsn) == before
        finally:
            projector.kill()
            generations.close()


async def spoil(dsn: str) -> None:
    """Make the live tables wrong, so that only the rebuilt ones can be right."""
    owner = await asyncpg.connect(dsn)
    await owner.execute("DELETE FROM order_views; UPDATE customer_summaries SET orders = 99")
    await owner.close()


async def filled(generations: PostgresGenerations, asked: int, position: float) -> None:
    async with asyncio.timeout(60):
        while (await seen(generations, asked)).position < position:
            await asyncio.sleep(0.02)


async def seen(generations: PostgresGenerations, asked: int) -> Generation:
    while True:
        try:
            found = await generations.read(asked)
        except Unavailable:  # after a crash the connection is a new one
            await asyncio.sleep(0.05)
            continue
        assert found is not None
        assert found.state not in ("failed", "cancelled"), found.note
        return found


def crash(server: EmbeddedPostgres, folder: Path) -> None:
    """Let the server end at once, without a checkpoint, and start it again, which recovers from its log."""
    assert server.process is not None
    server.process.send_signal(signal.SIGQUIT)
    server.process.wait()
    with (folder / "postgres.log").open("ab") as log:
        server.start(log)
