"""PgBouncer before the database: with session pooling every guard is in force, and other pooling is refused."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.migrate import NEEDED
from core.bootstrap import bootstrap, look_at_database, migrate_database
from core.errors import ConfigurationError, LoginRefused
from core.home import DAEMONS, unprivileged_user
from core.ports.log import Accepted
from core.processes import die_with_parent
from core.settings import Settings
from tests.support.log import append, entry, stream
from tests.support.ports import free_port

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer: apt-get install pgbouncer")

CONFIGURATION = """
[databases]
* = host={sockets} port=5432
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 30
"""


@contextmanager
def pooler(server: EmbeddedPostgres, mode: str) -> Iterator[int]:
    """A PgBouncer of this mode before the server; it runs as the user who may enter the folder of the socket."""
    assert PGBOUNCER is not None
    folder, port, user = server.home.postgres / f"pooler-{mode}", free_port(), unprivileged_user()
    folder.mkdir()
    (folder / "users").write_text(f'"orderdeck_owner" "x"\n"{DAEMONS}" "x"\n')
    (folder / "ini").write_text(
        CONFIGURATION.format(sockets=server.home.postgres_sockets, port=port, mode=mode, folder=folder)
    )
    process = subprocess.Popen(
        [PGBOUNCER, "--quiet", str(folder / "ini")],
        cwd="/",
        user=user and user.pw_uid,
        group=user and user.pw_gid,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
    )
    try:
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


async def answers(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@pytest.fixture
async def name(dsn: str) -> AsyncIterator[str]:
    owner = await asyncpg.connect(dsn)
    yield await owner.fetchval("SELECT current_database()")
    await owner.close()


def settings(port: int, database: str, *, user: str = DAEMONS, password: str = "x") -> Settings:  # noqa: S107 - of nobody
    def url(login: str) -> SecretStr:
        return SecretStr(f"postgresql://{login}:{password}@127.0.0.1:{port}/{database}")

    return Settings(home=Path("/nowhere"), database_url=url(user), owner_url=url("orderdeck_owner"))


async def test_with_session_pooling_a_daemon_has_its_role_and_its_limits_on_every_connection(
    postgres: EmbeddedPostgres, name: str
) -> None:
    with pooler(postgres, "session") as port:
        await answers(port)
        ours = settings(port, name)
        assert await migrate_database(ours) == NEEDED
        async with bootstrap(ours, name="test") as app:
            assert isinstance(await app.store.append(append(entry(stream()))), Accepted)
        looks = await look_at_database(ours)
        assert {look.pooled for look in looks.values()} == {True}
        for login in ("orderdeck_owner", DAEMONS) * 2:  # the pooler gives a session to one after the other
            url = f"postgresql://{login}:x@127.0.0.1:{port}/{name}"
            daemon = await connect(url, name="test")
            assert await daemon.fetchval("SELECT current_user::text") == DAEMONS
            assert await daemon.fetchval("SELECT current_setting('statement_timeout')") == "5s"
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await daemon.execute("DELETE FROM events")
            await daemon.close()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_that_keeps_no_session_is_refused_also_while_others_use_it(
    postgres: EmbeddedPostgres, name: str, mode: str
) -> None:
    with pooler(postgres, mode) as port:
        await answers(port)
        url = f"postgresql://{DAEMONS}:x@127.0.0.1:{port}/{name}"
        others = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(3)]
        busy = [asyncio.create_task(other.execute("SELECT pg_sleep(0.3)")) for other in others]
        for _ in range(2):
            for use in (migrate_database, look_at_database):
                with pytest.raises(ConfigurationError, match="switch it to session pooling"):
                    await use(settings(port, name))
            await asyncio.wait(busy)
        for other in others:
            other.terminate()


async def test_what_a_pooler_refuses_is_told_as_such(postgres: EmbeddedPostgres, name: str) -> None:
    with pooler(postgres, "session") as port:
        await answers(port)
        for wrong in (settings(port, name, password="y"), settings(port, name, user="nobody1"), settings(port, "none")):  # noqa: S106 - of nobody
            with pytest.raises(LoginRefused, match=r"does not let|does not take"):
                await look_at_database(wrong)
