"""A database that no migration has reached yet, where even the daemons' role is missing, is waited for by its name."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.migrate import NEEDED, migrate
from core.bootstrap import bootstrap
from core.errors import DatabaseFault, SchemaBehind
from core.settings import Settings


async def test_a_daemon_on_a_new_database_says_that_the_schema_is_missing_and_starts_after_the_migrations() -> None:
    with tempfile.TemporaryDirectory(prefix="od-new-") as folder, EmbeddedPostgres(Path(folder)) as server:
        with pytest.raises(SchemaBehind):  # the embedded database itself is not there yet
            async with bootstrap(Settings(home=Path(folder)), name="query-api"):
                pass
        dsn = server.dsn("postgres")
        settings = Settings(home=Path(folder), database_url=SecretStr(dsn))
        missing = Settings(home=Path(folder), database_url=SecretStr(server.dsn("of_somebody_else")))
        with pytest.raises(DatabaseFault):  # nobody is about to make that one
            async with bootstrap(missing, name="query-api"):
                pass
        with pytest.raises(SchemaBehind) as waits:
            async with bootstrap(settings, name="query-api"):
                pass
        assert (waits.value.actual, waits.value.needed) == (0, NEEDED)
        await migrate(dsn)
        async with bootstrap(settings, name="query-api") as app:
            assert await app.why_not_ready() is None
