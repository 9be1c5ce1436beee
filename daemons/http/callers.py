"""What the routes of a service know of who asks: whether the caller may, and the name that events get."""

from __future__ import annotations

from typing import Any

from litestar import Request

from core.home_key import CALLER as HOME
from daemons.http.problems import RequestRefused
from daemons.process.guard.callers import CALLER, Caller, check_caller
from daemons.process.guard.refusals import Refusal


async def check_role(request: Request[Any, Any, Any]) -> None:
    """In the `before_request=` of every HTTP service: refuses a caller whose key is not for this route.

    The framework calls it when it has found the route, so no way of writing a path gets past it. For one of its
    `guards=` it would copy the handler at each request, which takes longer than all the rest of the check; so would a
    function that is not `async`, which it calls in a thread.
    """
    scope: Any = request.scope
    try:
        check_caller(scope, scope["method"], scope["path_template"])
    except Refusal as refusal:
        raise RequestRefused(refusal.status, refusal.code, str(refusal)) from None


def caller_of(scope: Any) -> Caller | None:
    """Who asks; None where no keys are needed."""
    return scope.get(CALLER)


def actor_of(scope: Any, named: str | None) -> str | None:
    """Who is the author of what a request does: `named` by Orderdeck-Actor, if the caller may speak for others."""
    caller = caller_of(scope)
    if caller is None:
        return named
    return named if named and caller.speaks_for_others else caller.name


def key_owner(scope: Any, actor: str | None) -> str:
    """To whom an idempotency key belongs: another caller who sends the same key is not given this one's answer."""
    caller, actor = caller_of(scope), actor or ""
    if caller is None or caller.name in (HOME, actor):
        return actor
    return f"{caller.name} for {actor}"
