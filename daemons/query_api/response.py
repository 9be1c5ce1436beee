"""An answer of the query API: JSON that is ready to send."""

from __future__ import annotations

from litestar import Response
from msgspec import Raw

from core.ports.queries import OrderDocument


def json_response(body: bytes, **headers: str) -> Response[bytes]:
    return Response(body, media_type="application/json", headers=headers)


def as_it_is(document: OrderDocument) -> Raw:
    """An order's JSON as part of a larger answer, without reading it again."""
    return Raw(document.json)
