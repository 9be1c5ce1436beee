"""Reads the query of a list of orders, which takes the framework longer than all the rest of the answer.

What is read here has the types that the framework gives the same parameters. Whatever is not right is left to the
framework, which says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import msgspec
from litestar.handlers import HTTPRouteHandler

from core.filters.order_query import OrderQuery
from core.ports.listed_orders import OrderPlace, OrderSearch, OrderSort
from daemons.http.problems import RequestRefused
from daemons.query_api.cursors import place
from daemons.query_api.order_filters import order_filter
from daemons.query_api.parameters import LONGEST_KEPT, MOST_KEPT, AnyRequest, known_parameters, parameters_of

UNREAD: Any = None  # what the filter does not look at


class AskedOrders(NamedTuple):
    search: OrderSearch
    min_position: int | None


def asked_orders(request: AnyRequest) -> AskedOrders | None:
    """The page that a request asks for; None if the framework has to look at the request, as for one with `as_of`.

    Raises RequestRefused for strange parameters.
    """
    handler: Any = request.route_handler
    pairs = parameters_of(request)
    return _kept(handler, pairs) if len(request.scope["query_string"]) <= LONGEST_KEPT else _read(handler, pairs)


def order_search(conditions: OrderQuery, sort: OrderSort, cursor: str | None, limit: int) -> OrderSearch:
    """Raises RequestRefused for a cursor that was not given for this list."""
    start: OrderPlace | None = None
    backwards = False
    if cursor is not None:
        start, backwards = place(cursor, sort)
    return OrderSearch(filter=conditions, sort=sort, start=start, backwards=backwards, limit=limit)


def _read(handler: HTTPRouteHandler, pairs: Sequence[tuple[str, str]]) -> AskedOrders | None:
    known, given = known_parameters(handler), dict[str, Any]()
    for name, text in pairs:
        if known[name].several:
            given.setdefault(name, []).append(text)
        else:
            given[name] = text
    try:
        values = msgspec.structs.asdict(msgspec.convert(given, _model(handler), strict=False))
        sort, cursor, limit = values.pop("sort"), values.pop("cursor"), values.pop("limit")
        min_position, as_of = values.pop("min_position"), values.pop("as_of")
        search = order_search(order_filter(UNREAD, **values), sort, cursor, limit)
    except (RequestRefused, msgspec.ValidationError):
        return None
    return AskedOrders(search, min_position) if as_of is None else None


_kept = lru_cache(MOST_KEPT)(_read)


@cache
def _model(handler: HTTPRouteHandler) -> type[msgspec.Struct]:
    """A type with the parameters of the query, as the framework declares them for the handler and its dependencies."""
    dependencies: Any = handler.resolve_dependencies()
    models: list[Any] = [handler.signature_model, *(one.signature_model for one in dependencies.values())]
    known = known_parameters(handler)
    return msgspec.defstruct(
        "AskedParameters",
        [(f.name, f.type, f.default) for model in models for f in msgspec.structs.fields(model) if f.name in known],
    )
