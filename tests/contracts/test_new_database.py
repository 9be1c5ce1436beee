"""A database that no migration has reached yet, where even the daemons' role is missing, is waited for by its name."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.migrate import NEEDED
from core.bootstrap import bootstrap, migrate_database
from core.errors import ConfigurationError, SchemaBehind, Unavailable
from core.home import DAEMONS
from core.settings import Settings
from tests.support.logins import of_daemons


async def test_a_daemon_on_a_new_database_says_that_the_schema_is_missing_and_starts_after_the_migrations() -> None:
    with tempfile.TemporaryDirectory(prefix="od-new-") as folder, EmbeddedPostgres(Path(folder)) as server:
        with pytest.raises(SchemaBehind):  # the embedded database itself is not there yet
            async with bootstrap(Settings(home=Path(folder)), name="query-api"):
                pass
        dsn = server.dsn("postgres")
        settings = Settings(home=Path(folder), database_url=SecretStr(of_daemons(dsn)), owner_url=SecretStr(dsn))
        missing = Settings(home=Path(folder), database_url=SecretStr(server.dsn("of_somebody_else")))
        with pytest.raises(ConfigurationError):  # nobody is about to make that one
            async with bootstrap(missing, name="query-api"):
                pass
        with pytest.raises(Unavailable, match="orderdeck migrate"):  # it makes the daemons' user
            async with bootstrap(settings, name="query-api"):
                pass
        owner = await connect(dsn, name="admin", role=None)
        await owner.execute(f"CREATE ROLE {DAEMONS} LOGIN")
        with pytest.raises(SchemaBehind) as waits:
            async with bootstrap(settings, name="query-api"):
                pass
        assert (waits.value.actual, waits.value.needed) == (0, NEEDED)
        await owner.close()
        assert await migrate_database(settings) == NEEDED
        async with bootstrap(settings, name="query-api") as app:
            assert await app.why_not_ready() is None
