"""Who asks, as the key says that is shown: so that a program can tell its user at once what that key is not for."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, get
from litestar.types import ASGIApp

from core import codec
from core.api_keys import Role
from daemons.http.callers import caller_of
from daemons.http.openapi import answers
from daemons.http.reply import Reply


class CallerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """`caller` is empty where no keys are needed: then everybody may do all. Without `routes` the role alone counts."""

    caller: str
    role: Role
    routes: tuple[str, ...] = ()


@get("/api/v1/caller", responses=answers(CallerSeen))
async def who_asks(request: Request[Any, Any, Any]) -> ASGIApp:
    """Whose key this is, and what it may be used for."""
    known = caller_of(request.scope)
    seen = (
        CallerSeen(caller="", role=Role.ADMIN)
        if known is None
        else CallerSeen(caller=known.name, role=known.role, routes=known.routes)
    )
    return Reply(200, codec.json(seen), {})


ROUTES = (who_asks,)
