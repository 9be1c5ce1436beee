"""The first part of postgres: it starts the server and migrates its database, or one that is not ours."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys

import structlog

from core.adapters.postgres.connection import Link, connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.bootstrap import load_samples, migrate_database
from core.errors import ConfigurationError, DatabaseFault, OrderdeckError, Unavailable
from core.home import DATABASE, unprivileged_user
from core.printable import clean_lines
from core.processes import die_with_parent
from core.settings import Settings, load_settings
from daemons.postgres.watch_server import become_watch, heed, ignore_signals, pause
from daemons.process import exits
from daemons.process.logs import configure_logs

PAUSE_AFTER_FAULT = 5  # seconds between two tries, while a person has to mend something

_log = structlog.get_logger()


def start() -> None:
    faulthandler.enable()
    os.umask(0o077)
    if "SUPERVISOR_ENABLED" in os.environ:
        die_with_parent()
    heed(_stop)  # `orderdeck daemon` has blocked SIGINT until now
    try:
        settings = load_settings()
        configure_logs("postgres", settings.log_level)
        if settings.database_url is None:
            _serve(settings)
        else:
            asyncio.run(_migrate_once_it_answers(settings))
    except ConfigurationError as error:
        sys.stderr.write(clean_lines(f"postgres: {error}") + "\n")
        sys.exit(exits.CONFIGURATION)
    except OrderdeckError as error:
        sys.stderr.write(clean_lines(f"postgres: {error}") + "\n")
        pause()
        sys.exit(1)
    except Exception:  # noqa: BLE001 - supervisord starts the program again after any error
        _log.exception("failed")
        pause()
        sys.exit(1)


def _serve(settings: Settings) -> None:
    server = EmbeddedPostgres(settings.home)
    try:
        server.start()
        asyncio.run(_prepare(server, settings))
        user = unprivileged_user() if "SUPERVISOR_ENABLED" in os.environ else None
        if user is not None:
            server.home.hand_over(user)
        if server.process is not None:
            become_watch(server.process.pid, str(server.socket), user.pw_name if user else "")
    finally:  # only after an error
        ignore_signals()
        server.stop()


async def _prepare(server: EmbeddedPostgres, settings: Settings) -> None:
    link = Link(lambda: connect(server.dsn("postgres"), name="postgres", role=None))
    if not await link.run(lambda c: c.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE)):
        await link.once(lambda c: c.execute(f"CREATE DATABASE {DATABASE}"))
    link.close()
    await _migrate(settings)


async def _migrate(settings: Settings) -> None:
    _log.info("migrated", schema=await migrate_database(settings))
    if await load_samples(settings):
        _log.info("the sample catalogue is in stock")


async def _migrate_once_it_answers(settings: Settings) -> None:
    """Migrate a server that is not ours: try until it succeeds, and log each outage or fault once."""
    last = ""
    while True:
        try:
            await _migrate(settings)
        except (Unavailable, DatabaseFault) as error:
            fault = isinstance(error, DatabaseFault)
            if str(error) != last and not (isinstance(error, Unavailable) and error.logged):
                _log.warning("waits", reason=str(error), exc_info=error if fault else None)
            last = str(error)
            await asyncio.sleep(PAUSE_AFTER_FAULT if fault else 1)
        else:
            return


def _stop(*_: object) -> None:
    sys.exit(0)
