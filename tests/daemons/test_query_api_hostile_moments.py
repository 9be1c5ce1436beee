"""`as_of` with hostile values, at every route that takes it: the right status, and a sentence that names the field."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.orders import Sample, order_id, write
from tests.support.query_api import QueryApi, database, query_api

EVENTS = len(Sample(5).events())
WANTED = "must be a position of the log, such as 1200, or a time"
REFUSED = {
    WANTED: [
        "-1", "+1", "1.5", "1e3", "0x10", "٣", "now", "null", "2026-03-14T23:59:60Z", "2026-02-30", "0000-01-01",
        "2026-03-14T25:00:00Z", "2026-03-14T15:00:00+99:00", "2026-03-14T15:00:00.Z", "2026-03-14T15:00:00Z;--",
    ],
    f"is beyond the head of the log, which is {EVENTS}": [str(EVENTS + 1), str(2**63), str(10**30), "9" * 40],
    "is in the future: here it is 2": ["9999-12-31T23:59:59.999999Z", "9999-12-31", "2999-01-01T00:00:00-23:59"],
    "": ["", " ", "9" * 41, "2026-03-14\0"],
}  # fmt: skip
BEFORE_ALL = ("0", "000", "1987-01-01", "0001-01-01T00:00:00Z", "1987-01-01T00:00:00.000000999999Z")
AT = "2026-03-14T15:00:00.123456"
SAME_MOMENT = (
    f"{AT}Z", AT, AT.lower() + "z", AT.replace("T", " "), f"{AT}000000Z", f"{AT}789999Z", f"{AT}+00:00", f"{AT}-00:00",
    "2026-03-14T17:00:00.123456+02:00", "2026-03-14T17:00:00.123456+0200", "2026-03-14T09:30:00.123456-05:30",
)  # fmt: skip
KNOWN = {
    "order_id": str(order_id(1)), "order_number": "ORD-0000000001", "saga_id": str(order_id(1)), "sku": "SKU-001",
    "customer_id": "customer-1", "status": "created", "id": str(order_id(1)),
}  # fmt: skip


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[QueryApi]:
    async with (
        database(postgres, template, "moments") as dsn,
        query_api(dsn, tmp_path_factory.mktemp("moments")) as api,
    ):
        await write(dsn, Sample(5).events())
        yield api


@pytest.fixture(scope="module")
async def paths(api: QueryApi) -> list[str]:
    """Every route with `as_of`, each about something that is there."""
    document = await api.get("/openapi.json")
    found = [
        re.sub(r"\{(\w+)\}", lambda name: KNOWN[name[1]], path)
        for path, item in document["paths"].items()
        if any(parameter["name"] == "as_of" for parameter in item["get"].get("parameters", []))
    ]
    assert len(found) > 15
    return found


async def test_a_hostile_as_of_is_refused_at_every_route_with_a_sentence(api: QueryApi, paths: list[str]) -> None:
    for path in paths:
        for sentence, values in REFUSED.items():
            for value in values if path == paths[0] else values[:1]:
                response = await api.client.get(f"{path}?as_of={quote(value, safe='')}")
                assert response.status_code == 400, (path, value, response.text)
                problem = response.json()
                assert problem["errors"][0]["field"] == "as_of", (path, value)
                assert sentence in problem["detail"], (path, value)


async def test_before_the_first_event_nothing_is_there_at_any_route(api: QueryApi, paths: list[str]) -> None:
    for path in paths:
        for value in BEFORE_ALL if path == paths[0] else BEFORE_ALL[:1]:
            response = await api.client.get(f"{path}?as_of={quote(value)}")
            assert response.status_code in {200, 202, 404}, (path, value, response.text)
            if response.status_code == 200:
                assert response.headers["Orderdeck-As-Of-Position"] == "0", (path, value)


async def test_one_moment_is_the_same_however_it_is_written(api: QueryApi) -> None:
    """Also with a + that is not percent-encoded, which arrives as a blank."""
    for value in SAME_MOMENT:
        for text in {quote(value, safe=""), value.replace(" ", "%20")}:
            response = await api.client.get(f"/api/v1/events?as_of={text}")
            assert (response.status_code, response.headers.get("Orderdeck-As-Of-Time")) == (200, f"{AT}Z"), text
