"""What to do with tables that another release filled: those of an older one are read until new ones are ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from core.adapters.postgres.connection import Connection
from core.ports.reading import FilledByNewerRelease
from core.projections.projection import Group, Sum

# Once for each revision: after somebody has cancelled it, or gone back to the tables of before, not by itself any more.
REBUILD = """
INSERT INTO generations (reader, tables, revision, purpose, requested_by)
SELECT $1, $2, $3, 'rebuild', 'this release'
 WHERE NOT EXISTS (SELECT FROM generations g WHERE g.reader = $1 AND g.revision = $3
                                               AND g.purpose = 'rebuild' AND g.state NOT IN ('live', 'dropped'))
    ON CONFLICT DO NOTHING
RETURNING id
"""

log = structlog.get_logger(__name__)


async def go_on_with(connection: Connection, group: Group[Any], revision: str) -> None:
    """Go on with tables that have rows, filled at this revision; ask for new ones if that is an older one than ours.

    Raises FilledByNewerRelease.
    """
    if revision == group.revision:
        return
    if _is_newer(_numbers(revision), _numbers(group.revision)):
        raise FilledByNewerRelease(group.name, revision)
    tables = [model.name for model in group.models]
    if await connection.fetchval(REBUILD, group.reader, tables, group.revision) is not None:
        log.info("the read models are made anew by the rules of this release", reader=group.reader, before=revision)


def sums_at(group: Group[Any], revision: str) -> tuple[Sum[Any, Any, Any], ...]:
    """The sums that tables of a revision have rows of. Others stay empty until the tables are made anew."""
    known = _numbers(revision)
    return tuple(one for one in group.sums if one.name in known)


def _numbers(revision: str) -> Mapping[str, int]:
    """The revision of each read model, by its name, from the text of `Group.revision`."""
    pairs = (one.rpartition(":") for one in revision.split())
    return {name: int(number) for name, _, number in pairs if number.isdecimal()}


def _is_newer(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Whether one has a read model of a higher revision; with the same revisions, whether it has more read models."""
    common = one.keys() & other.keys()
    if any(one[name] != other[name] for name in common):
        return any(one[name] > other[name] for name in common)
    return one.keys() > other.keys()
