"""Commands are called without the work that the framework does for other handlers."""

from __future__ import annotations

from typing import Any

from litestar import Litestar

from daemons.command_api.app import make_app
from daemons.http.straight import Straight
from tests.support.anything import Anything


def test_every_command_is_called_straight_and_what_needs_the_framework_is_not() -> None:
    made: Any = make_app
    app: Litestar = made(*[Anything()] * made.__code__.co_argcount)
    called = Straight(app).handlers
    commands = {
        handler: f"{route.path} {method}"
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        for method in handler.http_methods
        if method in ("POST", "PUT")
    }
    assert len(commands) > 20
    assert [shown for handler, shown in commands.items() if handler not in called] == []
    assert not any("metrics_history" in handler.handler_name for handler in called)  # it takes numbers
