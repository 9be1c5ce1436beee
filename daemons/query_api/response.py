"""Makes responses of the query API from JSON that is already encoded."""

from __future__ import annotations

from typing import get_args

from litestar.openapi.spec import OpenAPIType, Schema

from core.ports.listed_orders import OrderDocument
from core.ports.order_cache import CacheUse
from core.services.fresh_views import ReadFrom
from daemons.http.openapi import with_headers
from daemons.http.reply import Reply

READ_FROM = "Orderdeck-Read-From"
"""The header of every answer that may come from the read model or the log, since a caller cannot tell by the answer."""

CACHE = "X-Cache"
AGE = "Age"

_READ_FROM = {
    READ_FROM: Schema(
        type=OpenAPIType.STRING,
        enum=get_args(ReadFrom),
        description="`view` if the read model has it; `log` if it was folded from events the read model lacks.",
    )
}
_CACHE = {
    CACHE: Schema(
        type=OpenAPIType.STRING,
        enum=get_args(CacheUse),
        description="`hit` if it was in the cache, `miss` if it is cached now, `bypass` if the cache was not used.",
    )
}
_AGE = {
    AGE: Schema(
        type=OpenAPIType.INTEGER,
        description="Of a `hit`: for how many seconds it has been in the cache. It is as new as the read model anyway.",
    )
}
FROM_EITHER = with_headers(_READ_FROM)
FROM_CACHE_TOO = with_headers(_READ_FROM | _CACHE, sometimes=_AGE)


def of_cache(document: OrderDocument) -> dict[str, str]:
    """The headers that say what the cache had to do with an order."""
    return {CACHE: document.cache} | ({AGE: str(document.age)} if document.cache == "hit" else {})


def json_response(body: bytes, **headers: str) -> Reply:
    return Reply(200, body, headers)
