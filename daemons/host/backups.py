"""Writes everything that a home remembers into a folder, and makes a new home or an empty database from such a folder.

The folder has the dump of PostgreSQL's own pg_dump, the payment sandbox's ledger, and the home's own key, if there are
any; `manifest.json` says what they are. The log is held for a moment while both are begun, so that the ledger has no
charge of an order that the dump does not have. A charge that was made in that moment for an older order is no trouble:
its saga asks for it again with the same key, and gets the same answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Generator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from core import codec
from core.adapters.postgres.connection import connect
from core.adapters.postgres.driver_errors import translating
from core.adapters.postgres.embedded import EmbeddedPostgres, binaries
from core.adapters.postgres.migrate import NEEDED
from core.bootstrap import migrate_database
from core.database_address import read_address
from core.errors import ConfigurationError, Unavailable
from core.folders import give, open_file
from core.home import DATABASE, LEDGER, Home, owner_url, unprivileged_user, unwritable
from core.settings import Settings
from daemons.host import stack
from daemons.host.home_lock import locked
from daemons.host.supervisor import Supervisor

DUMP, KEY, MANIFEST = "database.dump", "home.key", "manifest.json"
APPENDS = 7236833  # the advisory lock of `append_events`, in migrations/0001_log.sql
LONGEST_WAIT = "30s"  # for that lock, which an append holds for milliseconds
OURS = "schemaname !~ '^pg_' AND schemaname <> 'information_schema'"
LONGEST_MANIFEST = 64 * 1024  # bytes


class Manifest(msgspec.Struct, frozen=True):
    """`files` has the SHA-256 of each file, in hexadecimal digits; `position` is that of the last event in the dump."""

    release: str
    schema: int
    position: int
    made_at: datetime
    customer_keys: bool
    files: dict[str, str]


def back_up(settings: Settings, folder: Path, *, customer_keys: bool = True) -> Manifest:
    """Write a backup into a new folder; it appears there when it is complete. The home may run and take orders.

    Raises ConfigurationError, Unavailable and DatabaseFault; then there is no such folder.
    """
    folder = folder.absolute()
    if folder.exists():
        raise ConfigurationError(f"{folder} exists: name a folder that does not, so that no older backup is lost")
    part = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    try:
        part.mkdir(mode=0o700, parents=True)
        with stack.database(settings):
            position, schema = asyncio.run(_take(settings, part, customer_keys=customer_keys))
        with contextlib.suppress(FileNotFoundError):
            _copy_private(settings.home / KEY, part / KEY)
        manifest = Manifest(
            version("orderdeck"), schema, position, datetime.now(UTC), customer_keys,
            {file.name: _hash_of(file) for file in sorted(part.iterdir())},
        )  # fmt: skip
        (part / MANIFEST).write_bytes(msgspec.json.format(codec.json(manifest), indent=2))
        part.rename(folder)
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError(f"the backup {folder} cannot be written: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


async def _take(settings: Settings, part: Path, *, customer_keys: bool) -> tuple[int, int]:
    """Dump the database and copy the ledger, as of one moment. Returns the last position and the schema's number."""
    owner = owner_url(settings)
    async with contextlib.AsyncExitStack() as held:
        gate, sight = [await connect(owner, name="backup", role=None, limits=False) for _ in range(2)]
        held.callback(gate.terminate)
        held.callback(sight.terminate)
        with translating():
            await gate.execute(f"BEGIN; SET LOCAL lock_timeout = '{LONGEST_WAIT}'")
            await gate.execute(f"SELECT pg_advisory_xact_lock({APPENDS})")
            await sight.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot = str(await sight.fetchval("SELECT pg_export_snapshot()"))
            position = int(await sight.fetchval("SELECT coalesce(max(position), 0) FROM events"))
            schema = int(await sight.fetchval("SELECT max(number) FROM schema_migrations"))
        ledger = held.enter_context(_ledger(settings))
        with translating():
            await gate.execute("ROLLBACK")
        leave_out = [] if customer_keys else ["--exclude-table-data=customer_keys"]
        dump = f"--file={part / DUMP}"
        await _run(owner, "pg_dump", "--format=custom", f"--snapshot={snapshot}", dump, *leave_out)
        if ledger is not None:
            await asyncio.to_thread(_write_ledger, ledger, part / LEDGER)
    return position, schema


@contextlib.contextmanager
def _ledger(settings: Settings) -> Generator[sqlite3.Connection | None]:
    """The sandbox's ledger, read as of this moment; None if there is none, or if another provider is used."""
    file = Home(settings.home).ledger
    if settings.payment_url or not file.exists():
        yield None
        return
    uri = f"{file.absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)) as ledger:
        ledger.execute("BEGIN")
        ledger.execute("SELECT count(*) FROM sqlite_master").fetchone()  # what is read from here on is of this moment
        yield ledger


def _write_ledger(ledger: sqlite3.Connection, file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as copy:
        ledger.backup(copy)
    file.chmod(0o600)


def restore(settings: Settings, folder: Path) -> Manifest:
    """Make this home, which must be new, from a backup; with DATABASE_URL, fill that database, which must be empty.

    Raises ConfigurationError, Unavailable and DatabaseFault; what was begun in this home is then removed again.
    """
    manifest, home = _examined(folder), Home(settings.home)
    home.create()
    if Supervisor(home).runs():
        raise ConfigurationError(f"the daemons of {home.path} run: `orderdeck down` first")
    if settings.database_url is not None:
        asyncio.run(_fill(settings, folder, owner_url(settings)))
    else:
        server = EmbeddedPostgres(home.path)
        if server.data.exists():
            raise ConfigurationError(f"{home.path} has orders already: restore into another ORDERDECK_HOME")
        with locked(home):
            try:
                if (user := unprivileged_user()) is not None:
                    home.hand_over(user)
                with (home.logs / "postgres.log").open("ab") as log:
                    server.start(log)
                asyncio.run(_fill(settings, folder, home.dsn(), make=home.dsn("postgres")))
            except BaseException:
                server.stop()
                stack.forget(settings)
                raise
            server.stop()
    _place_files(home, folder)
    return manifest


def _examined(folder: Path) -> Manifest:
    """The manifest of a backup whose files are what it says; raises ConfigurationError."""
    try:
        with open_file(folder / MANIFEST) as file:
            manifest = msgspec.json.decode(file.read(LONGEST_MANIFEST), type=Manifest)
        changed = [name for name, digest in manifest.files.items() if _hash_of(folder / Path(name).name) != digest]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder} is no backup of orderdeck: {error}") from error
    if changed or DUMP not in manifest.files:
        raise ConfigurationError(
            f"{', '.join(changed) or DUMP} in {folder} is not as it was written: nothing is restored"
        )
    if manifest.schema > NEEDED:
        raise ConfigurationError(
            f"the backup is of release {manifest.release} with schema {manifest.schema}, and this release knows "
            f"{NEEDED}: restore it with that release"
        )
    return manifest


async def _fill(settings: Settings, folder: Path, owner: str, *, make: str | None = None) -> None:
    if make is not None:
        server = await connect(make, name="restore", role=None, limits=False)
        with translating():
            await server.execute(f"CREATE DATABASE {DATABASE}")
            await server.close()
    database = await connect(owner, name="restore", role=None, limits=False)
    with translating():
        tables = await database.fetchval(f"SELECT count(*) FROM pg_tables WHERE {OURS}")
        await database.close()
    if tables:
        raise ConfigurationError(f"the database has {tables} tables: name one that is empty")
    options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
    name = read_address(owner).database or DATABASE
    await _run(owner, "pg_restore", *options, f"--dbname={name}", str(folder / DUMP))
    await migrate_database(settings)


async def _run(owner: str, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL's; where it connects is in its environment, since others could read its arguments."""
    process = await asyncio.create_subprocess_exec(
        binaries() / program, *arguments, env=os.environ | _libpq(owner), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise Unavailable(f"{program} failed: {lines[0]}")


def _libpq(url: str) -> dict[str, str]:
    """The variables by which the programs of PostgreSQL find this database."""
    address = read_address(url)
    hosts, ports = [host for host, _ in address.hosts], [str(port) for _, port in address.hosts]
    named = {
        "PGHOST": ",".join(hosts), "PGPORT": ",".join(ports), "PGUSER": address.user, "PGPASSWORD": address.password,
        "PGDATABASE": address.database,
    }  # fmt: skip
    driver = {f"PG{name.upper()}": value for name, value in address.driver.items() if name.startswith("ssl")}
    return {name: value for name, value in (named | driver).items() if value}


def _place_files(home: Home, folder: Path) -> None:
    try:
        if (folder / LEDGER).exists():
            for end in ("-wal", "-shm"):
                home.ledger.with_name(LEDGER + end).unlink(missing_ok=True)
            _copy_private(folder / LEDGER, home.ledger)
            if (user := unprivileged_user()) is not None:
                give(home.ledger, user)
        if (folder / KEY).exists() and not (home.path / KEY).exists():
            _copy_private(folder / KEY, home.path / KEY)
    except OSError as error:
        raise unwritable(home.path, error) from error


def _copy_private(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        opened = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "wb") as copy:
            shutil.copyfileobj(file, copy)


def _hash_of(file: Path) -> str:
    with open_file(file) as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
