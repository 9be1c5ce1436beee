"""Answers of the query API show what is sealed in the log, and lists find sealed customers by their own references."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from core.filters.order_query import OrderQuery
from core.services.open_answers import AnswerOpener
from daemons.http.callers import check_role
from daemons.query_api.parameters import AnyRequest, refuse_strange_parameters

# The framework gives `after_request=` no request, and keeps the hook of the first service that a process makes.
_OPENER: ContextVar[AnswerOpener] = ContextVar("opener of this request")


async def prepare(request: AnyRequest) -> None:
    """The `before_request=` of the service."""
    await check_role(request)
    _OPENER.set(request.app.state["opener"])
    await refuse_strange_parameters(request)


async def open_answer(response: Any) -> Any:
    """Open what is sealed in an answer."""
    content: Any = getattr(response, "content", None)
    if isinstance(content, bytes):
        response.content = await _OPENER.get().open(content)
    return response


async def under_every_name(request: AnyRequest, given: OrderQuery) -> OrderQuery:
    """The conditions of a request, which then also find orders that name the customer by a pseudonym."""
    opener: AnswerOpener = request.app.state["opener"]
    return await opener.with_names(given)
