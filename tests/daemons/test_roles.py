"""Every route of every service has a role, by the one table that says which."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from core.api_keys import Role
from daemons.http.callers import check_role
from daemons.process.guard.callers import Caller
from daemons.process.guard.refusals import Refusal
from daemons.process.guard.roles import ROLES, role_for, row_for
from tests.support.anything import Anything

SERVICES = ("command_api", "query_api", "payment_sandbox")
EVERY_DAEMON = [("GET", "/ready"), ("GET", "/metrics")]


def routes() -> list[tuple[str, str]]:
    """Method and path of every route that the services describe, and of those that all daemons have."""
    found = [*EVERY_DAEMON, ("GET", "/docs"), ("GET", "/openapi.json")]
    for name in SERVICES:
        make_app: Any = importlib.import_module(f"daemons.{name}.app").make_app
        document = make_app(*[Anything()] * make_app.__code__.co_argcount).openapi_schema.to_schema()
        assert document["security"] == [{"key": []}, {}]
        assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
        for path, item in document["paths"].items():
            found += [(method.upper(), path) for method in item]
            for operation in item.values():
                assert {"401", "403"} <= set(operation["responses"]), path
    return found


ROUTES = routes()


def test_every_route_has_a_role() -> None:
    assert [route for route in ROUTES if row_for(*route) is None] == []


def test_no_row_of_the_table_is_for_nothing() -> None:
    used = {next(row for row in ROLES if row[0] == method and path.startswith(row[1])) for method, path in ROUTES}
    assert set(ROLES) - used == set()


@pytest.mark.parametrize(
    ("method", "route", "role"),
    [
        ("GET", "/api/v1/orders/{order_id}", Role.VIEWER),
        ("GET", "/api/v1/events/stream", Role.VIEWER),
        ("POST", "/api/v1/orders", Role.OPERATOR),
        ("PUT", "/api/v1/orders/{order_id}/cancel", Role.OPERATOR),
        ("POST", "/api/v1/sagas/{saga_id}/resolve", Role.OPERATOR),
        ("POST", "/api/v1/admin/rebuilds", Role.ADMIN),
        ("POST", "/api/v1/admin/erasures", Role.ADMIN),
        ("POST", "/api/v1/admin/dead-letters/retry", Role.ADMIN),
        ("GET", "/api/v1/admin/keys", Role.ADMIN),
        ("DELETE", "/api/v1/orders", Role.ADMIN),
        ("GET", "/something-new", Role.ADMIN),
    ],
)
def test_what_changes_something_needs_more_than_what_only_looks(method: str, route: str, role: Role) -> None:
    assert role_for(method, route) is role


def test_a_role_covers_those_below_it() -> None:
    may = {role.value: [needed.value for needed in Role if role.covers(needed)] for role in Role}
    assert may == {
        "viewer": ["viewer"], "operator": ["viewer", "operator"], "admin": ["viewer", "operator", "admin"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("routes", "method", "route", "allowed"),
    [
        ((), "GET", "/api/v1/orders", True),
        (("GET /metrics",), "GET", "/metrics", True),
        (("GET /metrics",), "GET", "/ready", False),
        (("GET /api/v1/orders",), "GET", "/api/v1/orders/{order_id}", False),
        (("GET /api/v1/orders*",), "GET", "/api/v1/orders/{order_id}", True),
        (("GET /api/v1/orders*",), "POST", "/api/v1/orders", False),
        (("* /api/v1/orders",), "POST", "/api/v1/orders", True),
        (("GET /metrics", "POST /api/v1/orders"), "POST", "/api/v1/orders", True),
    ],
)
def test_a_key_with_routes_opens_no_other(routes: tuple[str, ...], method: str, route: str, *, allowed: bool) -> None:
    caller = Caller("ana", Role.OPERATOR, routes=routes)
    if allowed:
        caller.check(method, route)
        return
    with pytest.raises(Refusal) as refused:
        caller.check(method, route)
    assert (refused.value.status, refused.value.code) == (403, "route_not_allowed")


def test_the_check_of_a_request_needs_no_other_thread() -> None:
    assert inspect.iscoroutinefunction(check_role)
