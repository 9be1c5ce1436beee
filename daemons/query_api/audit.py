"""The query on the audit: who asked for what, from where, and what came of it."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get
from litestar.datastructures import State
from litestar.params import QueryParameter
from litestar.types import ASGIApp

from core import codec
from core.ports.audit import AuditPage, AuditSearch, AuditTrail
from daemons.http.openapi import answers
from daemons.query_api.moments import a_moment
from daemons.query_api.parameters import LARGEST, Moment, Text
from daemons.query_api.response import json_response

Many = Annotated[int, QueryParameter(ge=1, le=1_000, description="How many rows at most.")]
Before = Annotated[int | None, QueryParameter(ge=1, le=LARGEST, description="Only rows before this position.")]
Who = Annotated[
    str | None, QueryParameter(min_length=1, max_length=200, description="The caller, or on whose behalf it asked.")
]
Outcomes = Annotated[
    Literal["done", "refused", "failed"] | None, QueryParameter(description="Only rows that ended so.")
]


@get("/api/v1/audit", responses=answers(AuditPage, 503))
async def audit(
    state: State,
    *,
    before: Before = None,
    since: Moment = None,
    until: Moment = None,
    caller: Who = None,
    source: Text = None,
    action: Text = None,
    target: Text = None,
    outcome: Outcomes = None,
    request_id: Text = None,
    limit: Many = 100,
) -> ASGIApp:
    """The newest rows first. A page looks at 50,000 rows at most, so `next_before` may follow an empty one."""
    trail: AuditTrail = state["audit"]
    search = AuditSearch(
        limit=limit,
        before=before,
        since=a_moment("since", since),
        until=a_moment("until", until, end=True),
        who=caller,
        source=source,
        action=action,
        target=target,
        outcome=outcome,
        request_id=request_id,
    )
    return json_response(codec.json(await trail.page(search)))


ROUTES = (audit,)
