"""Countries: how much was sold to each."""

from __future__ import annotations

from decimal import Decimal

from litestar import get
from litestar.types import ASGIApp
from msgspec import Struct

from core import codec
from core.errors import NotFound
from daemons.http.openapi import answers
from daemons.query_api.answers import Coming
from daemons.query_api.parameters import TextInPath, a_text
from daemons.query_api.reads import Reads
from daemons.query_api.response import json_response
from tests.recipes.read_model.country_sales import COUNTRY_SALES


class CountryTotal(Struct):
    currency: str
    orders: int
    revenue: Decimal


class CountrySales(Struct):
    country: str
    totals: list[CountryTotal]


@get("/api/v1/countries/{country:str}/sales", responses=answers({200: CountrySales, 202: Coming}, 404, 409, 503))
async def country_sales(queries: Reads, country: TextInPath) -> ASGIApp:
    """How many orders went to a country, and how much was sold, per currency."""
    name = a_text("country", country)
    totals = await queries.totals(COUNTRY_SALES, name)
    if not totals:
        raise NotFound("country", name)
    return json_response(codec.json({"country": name, "totals": totals}))


ROUTES = (country_sales,)
