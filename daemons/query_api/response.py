"""Makes responses of the query API from JSON that is already encoded."""

from __future__ import annotations

from litestar import Response
from msgspec import Raw

from core.ports.queries import OrderDocument


def json_response(body: bytes, **headers: str) -> Response[bytes]:
    return Response(body, media_type="application/json", headers=headers)


def as_it_is(document: OrderDocument) -> Raw:
    """An order's stored JSON as part of a larger answer; it is not decoded for that."""
    return Raw(document.json)
