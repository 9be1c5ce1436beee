"""The command API keeps to its OpenAPI document, whatever it is sent: seeded, and the same on every run."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation.meta import TestPhase
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.command_api import ORDER, CommandApi, command_api
from tests.support.orders import order_id
from tests.support.strategies import EVERY_HEALTH_CHECK

LONG = os.environ.get("LONG_TESTS") == "1"
RIGHT = {
    "orders": ORDER,
    "receipts": {"quantity": 1},
    "adjustments": {"quantity": 1, "reason": "counted"},
    "refund": {"amount": 1, "reason": "broken"},
    "rebuilds": {"group": "orders"},
    "keys": {"caller": "ana", "role": "viewer"},
    "webhooks": {"url": "https://shop.example.com/orders"},
}
"""Right bodies by the end of the path; every other body has texts only, and any text is right."""

NONE_EXISTS = ("/sagas/", "/dead-letters/", "/rebuilds/", "/keys/", "/webhooks/")
"""In the paths of what the tests only make up, so no request about one can succeed."""

WITHOUT_BODY = (
    "/keys/{id}/revoke",
    "/webhooks/{id}/enable",
    "/webhooks/{id}/test",
    "/webhooks/{id}/remove",
    "/snapshots/forget",
    "/caller",
)
"""They take nothing that could be wrong."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

FIRST, SAMPLE = 12, 1 if LONG else 6
"""Of the requests that schemathesis lists, some 90 an operation, the first ones and then each so-manieth are sent."""

STATUSES = ("fulfilled", "paid", "delivered", "cancelled", "fulfilled")


@dataclass
class Documented:
    api: CommandApi
    document: dict[str, Any]
    session: requests.Session
    """One for all requests: schemathesis would make one for each, which takes it longer than the request."""
    order_ids: dict[str, itertools.cycle[str]]
    """By operation: what one does to its orders, such as cancelling them, leaves those of the others as they are."""
    listed: defaultdict[str, itertools.count[int]] = field(default_factory=lambda: defaultdict(itertools.count))
    turns: itertools.cycle[int] = field(default_factory=lambda: itertools.cycle(range(3)))
    seen: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def texts(self, operation: APIOperation) -> dict[str, str]:
        """A body of an operation with a text in each of its fields."""
        body = self.document["paths"][operation.path][operation.method]["requestBody"]
        name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        return dict.fromkeys(self.document["components"]["schemas"][name]["properties"], "made up")


@pytest.fixture(scope="module")
async def documented(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Documented]:
    async with command_api(postgres, template, tmp_path_factory.mktemp("api")) as api:
        document = (await api.http.get("/openapi.json")).json()
        assert (await api.receive("SKU-1", {"quantity": 1_000})).status_code == 201
        orders = {
            path: itertools.cycle([await getattr(api, f"{status}_order")() for status in STATUSES])
            for path in document["paths"]
            if "{order_id}" in path
        }
        with requests.Session() as session:
            session.trust_env = False
            yield Documented(api, document, session, orders)
        assert "Traceback" not in api.output()


@pytest.fixture(scope="module")
def schema(documented: Documented) -> Any:
    return schemathesis.openapi.from_dict(documented.document)


commands = schemathesis.pytest.from_fixture("schema")


@commands.parametrize()
@settings(
    max_examples=100 if LONG else 6, derandomize=True, database=None, deadline=None,
    phases=[Phase.explicit, Phase.generate], suppress_health_check=EVERY_HEALTH_CHECK,
)  # fmt: skip
def test_every_answer_of_the_command_api_is_documented_and_none_is_a_server_error(
    documented: Documented, case: schemathesis.Case
) -> None:
    if case.meta is not None and case.meta.phase.name is TestPhase.COVERAGE:
        place = next(documented.listed[case.operation.label])
        if place >= FIRST and place % SAMPLE:
            return
    # In turn everything is made up, or the order is one that exists, or the body and the headers are right as well.
    right = next(documented.turns)
    if right and "order_id" in case.path_parameters:
        case.path_parameters["order_id"] = next(documented.order_ids[case.operation.path])
    if right and "stream_id" in case.path_parameters:
        case.path_parameters["stream_id"] = str(order_id(1))
    if right and "sku" in case.path_parameters:
        case.path_parameters["sku"] = "SKU-1"
    if right == 2:
        case.method, case.query = case.operation.method.upper(), {}
        case.headers.clear()
    if right == 2 and case.operation.body:
        case.media_type = "application/json"
        case.body = RIGHT.get(case.operation.path.rpartition("/")[2], documented.texts(case.operation))
    answer = case.call_and_validate(base_url=documented.api.url, checks=CHECKS, session=documented.session)
    documented.seen[case.operation.label].add(answer.status_code)


def test_the_generated_requests_call_every_operation_and_some_of_each_succeed(documented: Documented) -> None:
    operations = {f"{method.upper()} {path}" for path, item in documented.document["paths"].items() for method in item}
    assert set(documented.seen) == operations
    for label, statuses in documented.seen.items():
        assert statuses & {200, 201} or any(kind in label for kind in NONE_EXISTS), label
        assert 400 in statuses or label.endswith(WITHOUT_BODY), label
    assert {200, 201, 400, 405, 412, 415} <= set().union(*documented.seen.values())
