"""The query API under wrong requests: each gets a documented answer that names what is wrong, and never a 500."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.migrate import migrate
from tests.support.logins import of_daemons
from tests.support.orders import Sample, order_id, write
from tests.support.query_api import QueryApi, database, query_api
from tests.support.strategies import EVERY_HEALTH_CHECK

ID = order_id(1)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[QueryApi]:
    async with (
        database(postgres, template, "hostile") as dsn,
        query_api(dsn, tmp_path_factory.mktemp("hostile")) as api,
    ):
        await write(dsn, Sample(20).events())
        await api.project()
        yield api


def word(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


CURSORS = [
    "x", "%%%", "====", "é", "A" * 401, "AAAA", word(), word(1), word("-created_at", "next", "x", str(ID)),
    word("-created_at", "sideways", "2026-01-01T00:00:00Z", str(ID)), word("-created_at", "next", "", "no uuid"),
    word("-created_at", "next", "9999-12-31T23:59:59-23:00", str(ID)),
    word("-created_at", "next", "0001-01-01T00:00:00+23:00", str(ID)),
    word("-created_at", "next", "2026-01-01T00:00:00Z", str(ID), 1, 2) + "!",
    word("total_amount", "next", "1", str(ID)), word("status", "next", "1", str(ID)),
]  # fmt: skip
AMOUNT_CURSORS = [
    word("total_amount", "next", value, str(ID))
    for value in ("NaN", "sNaN", "Infinity", "1e999999", "-1e99", "1e-99", "", "x", "1_0\u0000")
]
WRONG = [
    *[(f"/api/v1/orders/{id_}", "order_id") for id_ in ("1", "x" * 36, "not-a-uuid", f"{ID}0", "%00", "%F0%9F%98%80")],
    *[(f"/api/v1/orders/{id_}/events", "order_id") for id_ in ("1", "%2e%2e%2e")],
    ("/api/v1/orders/1/timeline", "order_id"),
    ("/api/v1/sagas/1", "saga_id"),
    *[(f"/api/v1/orders/{ID}?min_version={v}", "min_version") for v in ("x", "-1", "1.5", "9" * 30, "")],
    *[(f"/api/v1/orders/{ID}?wait={v}", "wait") for v in ("x", "-1", "10.1", "nan", "inf", "1e400", "")],
    *[(f"/api/v1/orders?limit={v}", "limit") for v in ("0", "101", "-1", "x", "1.5", "9" * 30, "", "0x10", "²")],
    *[(f"/api/v1/customers/c/orders?offset={v}", "offset") for v in ("-1", "9" * 19, "9" * 30, "x", "1e3x")],
    *[(f"/api/v1/events?limit={v}", "limit") for v in ("0", "1001")],
    *[(f"/api/v1/events?after={v}", "after") for v in ("-1", "9" * 19, "9" * 30, "x")],
    ("/api/v1/events?category=nonsense", "category"),
    ("/api/v1/events?type=,", "type"),
    ("/api/v1/orders?status=nonsense", "status"),
    ("/api/v1/orders?status=ABSENT", "status"),
    ("/api/v1/orders/status/ABSENT", "status"),
    ("/api/v1/orders/status/%00", "status"),
    ("/api/v1/orders?sort=price", "sort"),
    ("/api/v1/orders?colour=red", "colour"),
    (f"/api/v1/orders/{ID}?limit=1", "limit"),
    ("/api/v1/stats?a=1", "a"),
    ("/api/v1/orders?limit=1&limit=2", "limit"),
    *[
        (f"/api/v1/orders?min_total={v}", "min_total")
        for v in ("-1", "NaN", "1e400", "0.0001", "9" * 13, "", "1\uff11")
    ],
    *[(f"/api/v1/orders?created_from={v}", "created_from") for v in ("x", "2026", "2026-13-01T00:00:00Z", "")],
    *[
        (f"/api/v1/orders?created_to={v}", "created_to")
        for v in ("9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00%2B23:00")
    ],
    *[
        (f"/api/v1/orders{path}?{field}={v}", field)
        for path in ("", "/counts")
        for field in ("status", "not_status", "payment", "not_payment")
        for v in ("", "nonsense", "ABSENTT", "CREATED,", f"CREATED&{field}=x", ",".join(["CREATED"] * 21))
    ],
    *[
        (f"/api/v1/orders?{field}={v}", field)
        for field in ("sku", "not_customer_id", "currency", "order_number")
        for v in ("", "%00", "x" * 201, "x" * 401, f"a&{field}=%20", f"&{field}=".join(["a"] * 101))
    ],
    *[
        (f"/api/v1/orders?order_id={v}", "order_id")
        for v in ("", "1", f"{ID},", f"{ID}&order_id=2", f"{ID},2", "&order_id=".join([str(ID)] * 101))
    ],
    *[(f"/api/v1/orders?updated_{end}={v}", f"updated_{end}") for end in ("from", "to") for v in ("x", "", "2026")],
    *[(f"/api/v1/orders/counts?{field}=1", field) for field in ("limit", "cursor", "sort", "colour")],
    ("/api/v1/orders?min_total=1&min_total=2", "min_total"),
    *[(f"/api/v1/orders?q={v}", "q") for v in ("", "%00", "a%00b", "x" * 101, "%E2%80%A8")],
    ("/api/v1/orders?q=%ff", "query"),
    *[
        (f"/api/v1/{path}", "path")
        for v in ("%ff%fe", "%ED%A0%80", "a%C0%AF", "a%EF%80%AFb")
        for path in (
            f"orders/{v}",
            f"orders/number/{v}",
            f"inventory/{v}",
            f"customers/{v}/orders",
            f"admin/streams/{v}",
        )
    ],
    ("/api/v1/orders?" + "&".join(f"a{n}=1" for n in range(500)), "query"),
    ("/api/v1/inventory?cursor=%C3%A9", "cursor"),
    ("/api/v1/inventory?cursor=AA==", "cursor"),
    ("/api/v1/inventory/%00", "sku"),
    ("/api/v1/inventory/" + "x" * 201, "sku"),
    ("/api/v1/customers/%0A/summary", "customer_id"),
    ("/api/v1/products/%7F/demand", "sku"),
    *[
        (f"/api/v1/admin/events?{field}={v}", field)
        for field in ("stream_id", "order_id", "correlation_id", "causation_id")
        for v in ("", "1", "%00", f"{ID}0", f"{ID},{ID}")
    ],
    *[(f"/api/v1/admin/events?{field}={v}", field) for field in ("after", "before") for v in ("-1", "x", "9" * 30)],
    *[(f"/api/v1/admin/events?{field}={v}", field) for field in ("since", "until") for v in ("x", "2026-13-01", "")],
    *[
        (f"/api/v1/admin/events?{field}={v}", field)
        for field in ("actor", "request_id")
        for v in ("", "%00", "x" * 201, f"a&{field}=b")
    ],
    *[(f"/api/v1/admin/events?limit={v}", "limit") for v in ("0", "1001", "x")],
    ("/api/v1/admin/events?type=nonsense", "type"),
    ("/api/v1/admin/events?category=nonsense", "category"),
    ("/api/v1/admin/events?customer=1", "customer"),
    (f"/api/v1/admin/events?order_id={ID}&correlation_id={ID}", "correlation_id"),
    *[(f"/api/v1/admin/streams?prefix={v}", "prefix") for v in ("x", "A", "0-1", "0" * 33, "%00")],
    *[(f"/api/v1/admin/{of}?after={v}", "after") for of in ("streams", "snapshots") for v in ("", "1", "9" * 30)],
    *[(f"/api/v1/admin/{of}?limit={v}", "limit") for of in ("streams", "snapshots") for v in ("0", "1001", "")],
    ("/api/v1/admin/streams?category=nonsense", "category"),
    ("/api/v1/admin/streams?category=nonsense&after=ffffffff-ffff-ffff-ffff-ffffffffffff", "category"),
    *[(f"/api/v1/admin/streams/{v}", "stream_id") for v in ("1", "%00", "x" * 300)],
    (f"/api/v1/admin/streams/{ID}?after=-1", "after"),
    ("/api/v1/admin/snapshots?stream_id=1", "stream_id"),
    ("/api/v1/admin/checkpoints?limit=1", "limit"),
    ("/api/v1/sagas?state=asleep", "state"),
    ("/api/v1/sagas?status=ASLEEP", "status"),
    ("/api/v1/sagas?order_id=1", "order_id"),
    *[(f"/api/v1/orders?cursor={c}", "cursor") for c in CURSORS],
    *[(f"/api/v1/orders?sort=total_amount&cursor={c}", "cursor") for c in AMOUNT_CURSORS],
    *[(f"/api/v1/sagas?cursor={c}", "cursor") for c in CURSORS],
]


@pytest.mark.parametrize(("path", "field"), WRONG)
async def test_the_query_api_refuses_a_wrong_parameter_and_names_it(api: QueryApi, path: str, field: str) -> None:
    response = await api.client.get(path)
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == "validation_failed"
    assert [wrong["field"] for wrong in problem["errors"]] == [field]
    assert field in problem["error"]
    assert not re.search("must be [A-Z][a-z]", problem["error"]), "a sentence within the sentence"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/orders?sort=size", "-created_at, created_at, -updated_at, updated_at, -total_amount, total_amount"),
        ("/api/v1/orders?min_total=1e2", "an amount such as 99.50"),
        ("/api/v1/orders/counts?max_total=1e2", "an amount such as 99.50"),
        ("/api/v1/orders?status=lost", "CREATED, CONFIRMED, CANCELLED, SHIPPED, DELIVERED"),
        ("/api/v1/orders/counts?colour=red", "known: order_id, order_number, status, not_status, payment"),
        ("/api/v1/sagas?state=asleep", "running, waiting, retrying, overdue, failed"),
    ],
)
async def test_the_answer_to_a_wrong_parameter_says_which_values_are_allowed(
    api: QueryApi, path: str, allowed: str
) -> None:
    assert allowed in (await api.client.get(path)).json()["error"]


async def test_the_query_api_names_several_wrong_parameters_at_once(api: QueryApi) -> None:
    problem = await api.get("/api/v1/orders", 400, colour="red", shape="round")
    assert [wrong["field"] for wrong in problem["errors"]] == ["colour", "shape"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_the_query_api_refuses_every_method_that_changes_something(api: QueryApi, method: str) -> None:
    response = await api.client.request(method, f"/api/v1/orders/{ID}")
    assert response.status_code == 405
    assert "GET" in response.headers["allow"]
    assert response.json()["code"] == "method_not_allowed"


async def test_the_query_api_answers_503_while_the_database_is_away_and_200_afterwards(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "its own") as server:
        await migrate(server.dsn("postgres"), of_daemons(server.dsn("postgres")))
        async with query_api(server.dsn("postgres"), tmp_path) as api:
            server.stop()
            for path in (f"/api/v1/orders/{ID}", "/api/v1/orders", "/api/v1/events", "/api/v1/events/stream"):
                response = await api.client.get(path)
                assert (response.status_code, response.headers.get("retry-after")) == (503, "1"), response.text
                assert response.json()["code"] == "unavailable"
            assert (await api.client.get("/ready")).status_code == 503
            with (tmp_path / "log").open("ab") as log:
                await asyncio.to_thread(server.start, log)
            async with asyncio.timeout(2):  # for half a second nobody tries to connect
                while (await api.client.get("/ready")).status_code != 200:
                    await asyncio.sleep(0.02)
            for path, status in ((f"/api/v1/orders/{ID}", 404), ("/api/v1/orders", 200), ("/api/v1/events", 200)):
                assert (await api.client.get(path)).status_code == status


async def test_the_openapi_document_and_its_page_load_nothing_from_other_hosts(api: QueryApi) -> None:
    document = await api.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    page = await api.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert all(path in page.text for path in document["paths"])
    assert "src=" not in page.text
    assert "://" not in page.text


async def test_every_answer_of_the_query_api_is_in_its_document(api: QueryApi) -> None:
    document = await api.get("/openapi.json")
    del document["paths"]["/api/v1/events/stream"]  # it does not end
    known = {
        "order_id": [str(ID), str(uuid4())], "sku": ["SKU-001", "nothing"], "customer_id": ["customer-1"],
        "order_number": ["ORD-0000000001"], "status": ["created", "SHIPPED"],
    }  # fmt: skip
    for item in document["paths"].values():
        for parameter in item["get"].get("parameters", []):
            if parameter["in"] == "path" and parameter["name"] in known:
                parameter["examples"] = {value: {"value": value} for value in known[parameter["name"]]}
    await asyncio.to_thread(ask_everything, document, api.url)


TEXTS = {"currency", "not_currency", "customer_id", "not_customer_id", "sku", "not_sku", "order_number"}


def a_number_for_a_text(query: Any) -> bool:
    """Whether a number stands where texts are wanted: in an address it is a text, so that it is not wrong there."""
    values = [value for name, value in (query or {}).items() if name in TEXTS]
    return any(re.fullmatch(r"[-+.0-9e]+", str(value)) for value in values)


def ask_everything(document: dict[str, Any], url: str) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    asked = 0

    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()

        @hypothesis.settings(
            max_examples=9,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=EVERY_HEALTH_CHECK,
        )
        @hypothesis.given(case=operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            hypothesis.assume(not a_number_for_a_text(case.query))
            asked += 1
            case.call_and_validate(base_url=url, checks=CHECKS)

        ask()
    assert asked > 200
