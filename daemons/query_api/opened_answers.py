"""Answers of the query API show what is sealed in the log, and lists find sealed customers by their own references."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from core.filters.order_query import OrderQuery
from core.services.open_answers import AnswerOpener
from daemons.query_api.parameters import AnyRequest


def opening(opener: AnswerOpener) -> Callable[[Any], Awaitable[Any]]:
    """The `after_request=` hook of the service, which opens what is sealed in an answer."""

    async def open_answer(response: Any) -> Any:
        content: Any = getattr(response, "content", None)
        if isinstance(content, bytes):
            response.content = await opener.open(content)
        return response

    return open_answer


async def under_every_name(request: AnyRequest, given: OrderQuery) -> OrderQuery:
    """The conditions of a request, which then also find orders that name the customer by a pseudonym."""
    opener: AnswerOpener = request.app.state["opener"]
    return await opener.with_names(given)
