"""Notes which release of the programs begins to run, and reads which ones ran from when on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from core.adapters.postgres.connection import Connection
from core.ports.queries import Release

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = (("core", "*.py"), ("daemons", "*.py"), ("migrations", "*.sql"))
BUILD = 12  # characters of the hash

NOTE = """
INSERT INTO releases (version, build, position)
SELECT $1, $2, coalesce((SELECT max(position) FROM events), 0)
 WHERE ($1::text, $2::text) IS DISTINCT FROM
       (SELECT (r.version, r.build) FROM releases r ORDER BY r.number DESC LIMIT 1)
"""
NEWEST = "SELECT version, build, began_at, position FROM releases ORDER BY number DESC LIMIT $1"


async def note_release(connection: Connection) -> None:
    """Note this release, unless it is the one that was noted last. One that is rolled back to is noted again."""
    if await connection.fetchval("SELECT to_regclass('releases')") is not None:  # not before its own migration
        await connection.execute(NOTE, version("orderdeck"), build())


async def newest_releases(connection: Connection, limit: int) -> Sequence[Release]:
    return [Release(**row) for row in await connection.fetch(NEWEST, limit)]


def build() -> str:
    """The same for the same program files, wherever they are installed."""
    sum_of_all = hashlib.sha256()
    for folder, names in PROGRAMS:
        for path in sorted((ROOT / folder).rglob(names)):
            sum_of_all.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return sum_of_all.hexdigest()[:BUILD]
