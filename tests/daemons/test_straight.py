"""Commands, what the provider is asked and what is read most are answered without most of the framework's work."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar

from daemons.command_api.app import make_app as commands
from daemons.http.straight import Straight
from daemons.payment_sandbox.app import make_app as payments
from daemons.query_api.app import make_app as queries
from daemons.query_api.straight_reads import AT_ONCE, StraightReads
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


def test_an_order_and_a_list_of_orders_are_answered_straight() -> None:
    made: Any = queries
    app: Litestar = made(*[Anything()] * made.__code__.co_argcount)
    assert [handler.handler_name for handler in StraightReads(app).handlers] == [one.handler_name for one in AT_ONCE]
