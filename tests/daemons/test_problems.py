"""Every error an HTTP service can answer is a problem document that names what is wrong."""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.testing import TestClient

from core import errors
from daemons.http.problems import HANDLERS, MEDIA_TYPE, RequestRefused
from daemons.process.guard.gate import with_head

STREAM = UUID("018f0000-0000-7000-8000-000000000001")


class Line(msgspec.Struct):
    quantity: int


class Body(msgspec.Struct):
    customer_id: str
    lines: list[Line] = []


RAISED: list[tuple[Exception, int, str, dict[str, str]]] = [
    (errors.InvalidInput([errors.FieldError("sku", "must not be blank")]), 400, "validation_failed", {}),
    (errors.NotAllowed("cannot cancel a shipped order"), 400, "not_allowed", {}),
    (errors.Rejected("no"), 400, "rejected", {}),
    (errors.NotFound("order", "1"), 404, "not_found", {}),
    (errors.VersionConflict(STREAM, 3, 4), 409, "conflict", {}),
    (errors.SagaTaken(STREAM, 4), 409, "conflict", {"retry-after": "1"}),
    (errors.PreconditionFailed(3, 4), 412, "precondition_failed", {"etag": '"4"'}),
    (errors.KeyReused("k"), 422, "key_reused", {}),
    (errors.FulfilmentNotFinished(STREAM), 409, "fulfilment_not_finished", {"retry-after": "1"}),
    (errors.UnknownEvent("OrderFrozen", 2), 503, "unknown_event", {"retry-after": "60"}),
    (errors.Unavailable("away", 2), 503, "unavailable", {"retry-after": "2"}),
    (errors.OutcomeUnknown("lost"), 503, "outcome_unknown", {"retry-after": "1"}),
    (errors.QueueFull("full"), 503, "queue_full", {"retry-after": "1"}),
    (errors.BacklogFull("too many wait", 5), 503, "backlog_full", {"retry-after": "5"}),
    (errors.SchemaBehind(7, 9), 503, "schema_behind", {"retry-after": "5"}),
    (
        RequestRefused(415, "unsupported_media_type", "the body must be application/json"),
        415,
        "unsupported_media_type",
        {},
    ),
    (errors.DatabaseFault("undefined column", "42703", 'column "x" does not exist'), 500, "internal_error", {}),
    (errors.ValuesRefused("untranslatable character", "22P05"), 500, "internal_error", {}),
    (errors.ConfigurationError("a mistake of ours"), 500, "internal_error", {}),
    (errors.LoginRefused("the database lets us not in"), 500, "internal_error", {}),
    (RuntimeError("secret"), 500, "internal_error", {}),
]


INSIDE = {
    "BrokerRefused", "CheckpointMoved", "EventNotApplied", "GatewayUnavailable", "GatewayNotTried", "GatewayTimeout",
    "LogShorter", "ShareLost", "SharesDivided", "TopicUnfit",
}  # fmt: skip
"""Of the readers, the relay and the saga runner: no caller over HTTP can meet them."""


@get("/raise/{number:int}")
async def raise_(number: FromPath[int]) -> None:
    raise RAISED[number][0]


@get("/orders/{order_id:str}")
async def order(order_id: FromPath[UUID], limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20) -> str:
    return f"{order_id} {limit}"


@post("/orders")
async def create(data: JSONBody[Body]) -> str:
    return data.customer_id


@pytest.fixture(scope="module")
def client() -> Any:
    app = Litestar([raise_, order, create], exception_handlers=HANDLERS, openapi_config=None, logging_config=None)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    document = response.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["error"] == document["detail"]
    assert document["error"]
    assert document["type"].endswith(code)
    return document


@pytest.mark.parametrize("number", range(len(RAISED)), ids=lambda n: type(RAISED[n][0]).__name__)
def test_every_class_of_error_has_the_status_and_code_of_the_table(client: Any, number: int) -> None:
    _, status, code, headers = RAISED[number]
    response = client.get(f"/raise/{number}")
    problem(response, status, code)
    assert headers.items() <= dict(response.headers).items()


def test_the_table_has_every_class_of_error() -> None:
    def below(kind: type) -> set[type]:
        return {kind}.union(*(below(sub) for sub in kind.__subclasses__()))

    listed = set(re.findall(r"── (\w+)", errors.__doc__ or ""))
    ours = {kind.__name__ for kind in below(errors.OrderdeckError) if kind.__module__ == errors.__name__}
    assert listed == ours - {"OrderdeckError"}
    assert listed == {type(error).__name__ for error, *_ in RAISED if isinstance(error, errors.OrderdeckError)} | INSIDE


def test_an_unexpected_exception_is_answered_without_its_message(client: Any) -> None:
    number = next(i for i, (error, *_) in enumerate(RAISED) if isinstance(error, RuntimeError))
    assert "secret" not in client.get(f"/raise/{number}").text


def test_an_unknown_path_and_a_wrong_method_are_answered_with_problems(client: Any) -> None:
    problem(client.get("/nothing"), 404, "not_found")
    response = client.delete("/orders")
    assert "POST" in problem(response, 405, "method_not_allowed")["error"]
    assert "POST" in response.headers["allow"]


@pytest.mark.parametrize(
    ("methods", "named"),
    [("POST, GET,OPTIONS", "GET, HEAD, OPTIONS, POST"), ("PUT, OPTIONS", "OPTIONS, PUT"), ("HEAD, GET", "GET, HEAD")],
)
def test_the_methods_that_a_path_has_are_named_in_order_with_head_where_get_is(methods: str, named: str) -> None:
    assert with_head(methods) == named


def test_the_problem_names_a_wrong_parameter(client: Any) -> None:
    wrong = problem(client.get("/orders/17"), 400, "validation_failed")["errors"]
    assert [w["field"] for w in wrong] == ["order_id"]
    wrong = problem(client.get(f"/orders/{STREAM}?limit=0"), 400, "validation_failed")["errors"]
    assert [w["field"] for w in wrong] == ["limit"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"customer_id": 1}', "customer_id"),
        ("{}", "customer_id"),
        ('{"customer_id": "c", "lines": [{"quantity": "x"}]}', "lines[0].quantity"),
        ('{"customer_id": "c", "lines": [{}]}', "lines[0].quantity"),
        ("[]", "body"),
    ],
)
def test_the_problem_names_a_wrong_field_with_its_path(client: Any, body: str, field: str) -> None:
    response = client.post("/orders", content=body, headers={"content-type": "application/json"})
    assert [w["field"] for w in problem(response, 400, "validation_failed")["errors"]] == [field]


@pytest.mark.parametrize("body", ["{", "nope", '{"customer_id": NaN}', "{}x", '"\\ud800"'])
def test_the_problem_says_that_a_body_is_malformed_json(client: Any, body: str) -> None:
    response = client.post("/orders", content=body, headers={"content-type": "application/json"})
    assert response.json()["code"] in {"malformed_json", "validation_failed"}
    assert response.status_code == 400
