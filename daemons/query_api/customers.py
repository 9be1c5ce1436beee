"""The query about a customer: how many orders they placed and what they spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from litestar import get
from litestar.types import ASGIApp

from core import codec
from core.errors import NotFound
from core.projections.customer_summary import CUSTOMER_SUMMARY
from core.services.open_answers import AnswerOpener
from daemons.http.openapi import answers
from daemons.query_api.answers import Coming, Customer
from daemons.query_api.parameters import (
    AnyRequest,
    TextInPath,
    a_text,
)
from daemons.query_api.reads import Reads
from daemons.query_api.response import json_response


@get(
    "/api/v1/customers/{customer_id:str}/summary",
    responses=answers({200: Customer, 202: Coming}, 404, 409, 503),
)
async def customer_summary(request: AnyRequest, queries: Reads, customer_id: TextInPath) -> ASGIApp:
    """How many orders a customer has placed, and what was spent, per currency."""
    opener: AnswerOpener = request.app.state["opener"]
    name = a_text("customer_id", customer_id)
    found = [await queries.totals(CUSTOMER_SUMMARY, known) for known in await opener.names_of(name)]
    totals = _joined(chain(*found))
    if not totals:
        raise NotFound("customer", name)
    return json_response(
        codec.json(
            {
                "customer_id": name,
                "orders": sum(row["orders"] for row in totals),
                "last_order_at": max(row["last_order_at"] for row in totals),
                "totals": totals,
            }
        )
    )


ROUTES = (customer_summary,)


def _joined(rows: Iterable[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """One row for each currency, also of a customer with orders from before and after customers are sealed."""
    joined: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        known = joined.get(row["currency"])
        joined[row["currency"]] = row if known is None else _sum(known, row)
    return list(joined.values())


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        **one,
        "orders": one["orders"] + other["orders"],
        "spent": one["spent"] + other["spent"],
        "last_order_at": max(one["last_order_at"], other["last_order_at"]),
    }
