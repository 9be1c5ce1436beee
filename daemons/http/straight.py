"""Calls the handlers that answer by themselves, without what the framework does for others.

That is a sixth of the CPU of a POST: for each call it makes a stack for what a request opens, copies the state, and
converts arguments that are texts already. The framework still finds the route.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from litestar.utils import normalize_path

from daemons.http.callers import check_role
from daemons.http.problems import on_error


class FoundRoute(NamedTuple):
    """The handler of a request, and the values in its path by their names."""

    app: Litestar
    handler: Any
    path: str
    values: Mapping[str, Any]
    template: str

    def write_into(self, scope: Any) -> None:
        """As the framework does before it calls the handler."""
        scope |= {
            "app": self.app,
            "litestar_app": self.app,
            "route_handler": self.handler,
            "path": self.path,
            "path_params": self.values,
            "path_template": self.template,
        }


def find_route(app: Litestar, scope: Any) -> FoundRoute | None:
    """None if there is no such route, or no route can be found: the framework says so."""
    path: str = scope["path"]
    try:
        plain = path if "//" not in path and not path.endswith("/") else normalize_path(path)
        found = app.asgi_router.handle_routing(path=plain, method=scope["method"])
    except Exception:  # noqa: BLE001 - the framework answers it
        return None
    return FoundRoute(app, *found[1:])


class BareRequest(Request[Any, Any, Any]):
    """A request of which only the scope and the body are asked for, so that nothing else is made ready."""

    def __init__(self, scope: Any, receive: Any) -> None:
        self.scope = scope
        self.receive = receive


class Straight:
    """The application of a service whose handlers take the request, the state and what stands in the path, and no more.

    A handler that takes something else, or does not answer by itself, is called by the framework. `handlers` are those
    that are called here, and the arguments that each takes.
    """

    def __init__(self, app: Litestar) -> None:
        self._app = app
        self.handlers: Mapping[Any, frozenset[str]] = {
            handler: frozenset(handler.parsed_fn_signature.parameters)
            for route in app.routes
            for handler in getattr(route, "route_handlers", ())
            if _answers_by_itself(handler)
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        found = find_route(self._app, scope)
        takes = None if found is None else self.handlers.get(found.handler)
        if found is None or takes is None:
            await self._app(scope, receive, send)
            return
        found.write_into(scope)
        asked = BareRequest(scope, receive)
        try:
            await check_role(asked)
            given: dict[str, Any] = {"request": asked, "state": self._app.state, **found.values}
            answer = await found.handler.fn(**{name: given[name] for name in takes})
        except Exception as error:  # noqa: BLE001 - every error is answered, as the framework does
            request: Request[Any, Any, Any] = Request(scope, receive, send)
            refusal: Any = on_error(request, error)
            answer = refusal.to_asgi_response(app=None, request=request)
        await answer(scope, receive, send)


def _answers_by_itself(handler: HTTPRouteHandler) -> bool:
    """Whether the handler returns what sends its answer, and takes nothing that the framework would have to convert."""
    signature = handler.parsed_fn_signature
    of_path = {name for name, field in signature.parameters.items() if field.annotation in (str, UUID)}
    return signature.return_type.annotation is ASGIApp and signature.parameters.keys() <= {"request", "state", *of_path}
