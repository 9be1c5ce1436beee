"""postgres: runs the embedded PostgreSQL, migrates its database, and stops the server when it is stopped itself.

With DATABASE_URL set it runs no server: it migrates that database as soon as it answers, and exits with 0.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import time

import structlog

from core.adapters.postgres.connection import Link, connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.bootstrap import load_samples, migrate_database
from core.errors import ConfigurationError, DatabaseFault, OrderdeckError, Unavailable
from core.home import DATABASE
from core.printable import clean_lines
from core.processes import die_with_parent
from core.settings import Settings, load_settings
from daemons.process import exits
from daemons.process.drop_root import drop_root
from daemons.process.logs import configure_logs

PAUSE = 2  # seconds
PAUSE_AFTER_FAULT = 5  # seconds between two tries, while a person has to mend something

_log = structlog.get_logger()


def main() -> None:
    faulthandler.enable()
    os.umask(0o077)
    if "SUPERVISOR_ENABLED" in os.environ:
        die_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `orderdeck daemon` has blocked it until now
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
        _pause()
        sys.exit(1)
    except Exception:  # noqa: BLE001 - supervisord starts the program again after any error
        _log.exception("failed")
        _pause()
        sys.exit(1)


def _serve(settings: Settings) -> None:
    server = EmbeddedPostgres(settings.home)
    try:
        server.start()
        asyncio.run(_prepare(server, settings))
        drop_root(server.home)
        raise Unavailable(server.wait())
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
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
            if str(error) != last:
                _log.warning("waits", reason=str(error), exc_info=error if fault else None)
            last = str(error)
            await asyncio.sleep(PAUSE_AFTER_FAULT if fault else 1)
        else:
            return


def _pause() -> None:
    """Wait before exiting with an error: supervisord starts this program again without a pause of its own.

    It has none (startsecs=0), because with DATABASE_URL this program may end right after its start.
    """
    time.sleep(PAUSE)


def _stop(*_: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
