"""Makes responses of the query API from JSON that is already encoded."""

from __future__ import annotations

from typing import get_args

from litestar import Response
from litestar.openapi.spec import OpenAPIType, Schema
from msgspec import Raw

from core.ports.listed_orders import OrderDocument
from core.services.fresh_views import ReadFrom
from daemons.http.openapi import with_headers

READ_FROM = "Orderdeck-Read-From"
"""The header of every answer that may come from the read model or the log, since a caller cannot tell by the answer."""

FROM_EITHER = with_headers(
    {
        READ_FROM: Schema(
            type=OpenAPIType.STRING,
            enum=get_args(ReadFrom),
            description="`view` if the read model has it; `log` if it was folded from events the read model lacks.",
        )
    }
)


def json_response(body: bytes, **headers: str) -> Response[bytes]:
    return Response(body, media_type="application/json", headers=headers)


def as_it_is(document: OrderDocument) -> Raw:
    """An order's stored JSON as part of a larger answer; it is not decoded for that."""
    return Raw(document.json)
