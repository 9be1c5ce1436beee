"""Commands, and what the provider is asked, are called without the work that the framework does for other handlers."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar

from daemons.command_api.app import make_app as commands
from daemons.http.straight import Straight
from daemons.payment_sandbox.app import make_app as payments
from tests.support.anything import Anything


@pytest.mark.parametrize(
    ("made", "least", "framework"), [(commands, 21, "metrics_history"), (payments, 5, "show_ledger")]
)
def test_every_command_is_called_straight_and_what_needs_the_framework_is_not(
    made: Any, least: int, framework: str
) -> None:
    app: Litestar = made(*[Anything()] * made.__code__.co_argcount)
    called = Straight(app).handlers
    changing = {
        handler: f"{route.path} {method}"
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        for method in handler.http_methods
        if method in ("POST", "PUT")
    }
    assert len(changing) >= least
    assert [shown for handler, shown in changing.items() if handler not in called] == []
    assert not any(framework in handler.handler_name for handler in called)  # it takes numbers
