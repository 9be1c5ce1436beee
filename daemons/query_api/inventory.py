"""Stock by SKU: of all of them in pages, and of one."""

from __future__ import annotations

import base64

from litestar import Response, get
from litestar.params import FromPath

from core import codec
from core.domain.message import Sku
from core.errors import FieldError
from core.ports.queries import Queries
from core.services.fresh_views import fresh_level
from daemons.http.problems import wrong_fields
from daemons.query_api.answers import Level, Levels
from daemons.query_api.operations import query
from daemons.query_api.parameters import AnyRequest, CursorText, Limit, NoParameters, Parameters, a_text, parameters
from daemons.query_api.response import json_response


class SomeStock(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cursor: CursorText | None = None
    limit: Limit = 20


@get("/api/v1/inventory", operation_class=query(SomeStock, Levels))
async def inventory(request: AnyRequest) -> Response[bytes]:
    """Stock by SKU."""
    queries: Queries = request.app.state["queries"]
    given = parameters(request, SomeStock)
    after = _sku_of(given.cursor) if given.cursor is not None else ""
    levels = await queries.stock_levels(after=after, limit=given.limit + 1)
    items, more = levels[: given.limit], len(levels) > given.limit
    next_cursor = base64.urlsafe_b64encode(items[-1].sku.encode()).decode() if more else None
    return json_response(codec.json({"items": items, "next_cursor": next_cursor}))


@get("/api/v1/inventory/{sku:str}", operation_class=query(NoParameters, Level, 404, path=("sku",)))
async def inventory_of_sku(request: AnyRequest, sku: FromPath[str]) -> Response[bytes]:
    """Stock of one SKU."""
    queries: Queries = request.app.state["queries"]
    parameters(request, NoParameters)
    return json_response(codec.json(await fresh_level(queries, Sku(a_text("sku", sku)))))


def _sku_of(cursor: str) -> str:
    try:
        return a_text("cursor", base64.urlsafe_b64decode(cursor.encode("ascii")).decode())
    except ValueError:
        raise wrong_fields(FieldError("cursor", "is not one that was given for this list")) from None
