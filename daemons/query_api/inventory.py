"""Queries about stock: the list of all SKUs in pages, and one SKU."""

from __future__ import annotations

import base64

from litestar import get
from litestar.types import ASGIApp

from core import codec
from core.domain.message import Sku
from core.errors import FieldError
from core.services.fresh_views import fresh_level
from daemons.http.openapi import answers
from daemons.http.problems import wrong_fields
from daemons.query_api.answers import Coming, Level, Levels
from daemons.query_api.parameters import (
    CursorText,
    Limit,
    TextInPath,
    a_text,
)
from daemons.query_api.reads import Reads
from daemons.query_api.response import FROM_EITHER, READ_FROM, json_response


@get("/api/v1/inventory", responses=answers({200: Levels, 202: Coming}, 409, 503))
async def inventory(queries: Reads, cursor: CursorText = None, limit: Limit = 20) -> ASGIApp:
    """Stock by SKU."""
    after = _sku_of(cursor) if cursor is not None else ""
    levels = await queries.stock_levels(after=after, limit=limit + 1)
    items, more = levels[:limit], len(levels) > limit
    next_cursor = base64.urlsafe_b64encode(items[-1].sku.encode()).decode() if more else None
    return json_response(codec.json({"items": items, "next_cursor": next_cursor}))


@get("/api/v1/inventory/{sku:str}", responses=answers(Level, 404, 409, 503), operation_class=FROM_EITHER)
async def inventory_of_sku(queries: Reads, sku: TextInPath) -> ASGIApp:
    """Stock of one SKU."""
    level, read_from = await fresh_level(queries, Sku(a_text("sku", sku)))
    return json_response(codec.json(level), **{READ_FROM: read_from})


ROUTES = (inventory, inventory_of_sku)


def _sku_of(cursor: str) -> str:
    try:
        return a_text("cursor", base64.urlsafe_b64decode(cursor.encode("ascii")).decode())
    except ValueError:
        raise wrong_fields(FieldError("cursor", "is not one that was given for this list")) from None
