"""The query about a customer: how many orders they placed and what they spent."""

from __future__ import annotations

from litestar import Response, get

from core import codec
from core.errors import NotFound
from core.projections.customer_summary import CUSTOMER_SUMMARY
from daemons.http.openapi import answers
from daemons.query_api.answers import Coming, Customer
from daemons.query_api.parameters import (
    TextInPath,
    a_text,
)
from daemons.query_api.reads import Reads
from daemons.query_api.response import json_response


@get(
    "/api/v1/customers/{customer_id:str}/summary",
    responses=answers({200: Customer, 202: Coming}, 404, 409, 503),
)
async def customer_summary(queries: Reads, customer_id: TextInPath) -> Response[bytes]:
    """How many orders a customer has placed, and what was spent, per currency."""
    name = a_text("customer_id", customer_id)
    totals = await queries.totals(CUSTOMER_SUMMARY, name)
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
