"""Answers what is asked for most, an order and a list of orders, without what the framework does for other handlers.

That is a quarter of the CPU of such an answer. The framework still finds the route, and answers itself wherever there
is more to read in a request than is read here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Litestar, Request
from litestar.types import ASGIApp

from core.errors import NotFound
from daemons.http.problems import on_error
from daemons.http.straight import find_route
from daemons.query_api.opened_answers import prepare
from daemons.query_api.orders import listed_at_once, one_order, order_at_once, some_orders
from daemons.query_api.parameters import AnyRequest
from daemons.query_api.reads import add_headers, finish, not_found

AtOnce = Callable[[AnyRequest, Mapping[str, str]], Awaitable[ASGIApp | None]]
"""Answers a request with these texts in its path, or None if the framework has to."""

AT_ONCE: Mapping[Any, AtOnce] = {one_order: order_at_once, some_orders: listed_at_once}


class StraightReads:
    """The application of the query API."""

    def __init__(self, app: Litestar) -> None:
        self._app = app
        self.handlers: Mapping[Any, AtOnce] = {
            handler: at_once
            for route in app.routes
            for handler in getattr(route, "route_handlers", ())
            for known, at_once in AT_ONCE.items()
            if handler.fn is known.fn
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked: str = scope["path"]
        found = find_route(self._app, scope)
        at_once = None if found is None else self.handlers.get(found.handler)
        if found is None or at_once is None:
            await self._app(scope, receive, send)
            return
        found.write_into(scope)
        request: AnyRequest = Request(scope, receive, send)
        answer: Any
        try:
            await prepare(request)
            answer = await at_once(request, found.values)
            if answer is not None:
                await finish(answer)
        except Exception as error:  # noqa: BLE001 - every error is answered, as the framework does
            refusal: Any = not_found(request, error) if isinstance(error, NotFound) else on_error(request, error)
            answer = refusal.to_asgi_response(app=None, request=request)

        async def send_on(message: Any) -> None:
            await add_headers(message, scope)
            await send(message)

        if answer is not None:
            await answer(scope, receive, send_on)
            return
        scope["path"] = asked
        await self._app(scope, receive, send)
