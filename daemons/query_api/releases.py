"""The query that says which release of the programs ran from when on."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import get
from litestar.types import ASGIApp
from msgspec import Struct

from core import codec
from core.ports.queries import Release
from daemons.http.openapi import answers
from daemons.query_api.parameters import Limit
from daemons.query_api.reads import Reads
from daemons.query_api.response import json_response


class Releases(Struct, kw_only=True):
    """The newest releases first. One that was rolled back to stands there again."""

    releases: Sequence[Release]


@get("/api/v1/releases", responses=answers(Releases, 409, 503))
async def releases(queries: Reads, limit: Limit = 20) -> ASGIApp:
    """Releases of the programs, newest first: since when each runs, and the position at which the log ended then."""
    return json_response(codec.json(Releases(releases=await queries.releases(limit))))


ROUTES = (releases,)
