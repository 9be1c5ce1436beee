"""The gRPC API before the two HTTP services, with keys: what it answers is what HTTP answers to the same.

All processes and one database serve all tests of this file.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.command_api import ADDRESS
from tests.support.grpc_desk import GrpcDesk, as_refused, is_ready, refused
from tests.support.node_example import NodeExample
from tests.support.stack import until

ITEM = {"product_id": "LAPTOP-001", "sku": "LAPTOP-001", "quantity": 1, "unit_price": "1299.00"}
ORDER: dict[str, Any] = {"customer_id": "customer-1", "items": [ITEM], "shipping_address": ADDRESS}
NOBODY = "0195979f-3e40-7cc1-9d2e-000000000001"
SHIP = {"tracking_number": "1Z9", "carrier": "UPS"}


@pytest.fixture(scope="module")
def desk(postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrpcDesk]:
    asyncio.run(_admin(postgres, f"CREATE DATABASE grpc TEMPLATE {template} STRATEGY file_copy"))
    with GrpcDesk(postgres.dsn("grpc"), tmp_path_factory.mktemp("home")) as desk:
        yield desk
        output = desk.grpc.output()
        assert "Traceback" not in output
        assert "od_" not in output
    asyncio.run(_admin(postgres, "DROP DATABASE grpc WITH (FORCE)"))


async def _admin(postgres: EmbeddedPostgres, statement: str) -> None:
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(statement)
    await admin.close()


@pytest.fixture(scope="module")
def order_id(desk: GrpcDesk) -> str:
    return str(desk.call("CreateOrder", ORDER).order_id)


# --- one table, over both ------------------------------------------------------------------------------------
def _order(**change: Any) -> dict[str, Any]:
    return ORDER | change


def _item(**change: Any) -> dict[str, Any]:
    return ORDER | {"items": [ITEM | change]}


WRONG_ORDERS: list[dict[str, Any]] = [
    {},
    _order(customer_id=""),
    _order(customer_id="a\u0000b"),
    _order(customer_id="a\u202eb"),
    _order(customer_id="x" * 300),
    _order(items=[]),
    _order(items=[ITEM] * 201),
    _item(quantity=0),
    _item(quantity=-1),
    _item(quantity=2**63 - 1),
    _item(unit_price="NaN"),
    _item(unit_price="-Infinity"),
    _item(unit_price="1e999999999"),
    _item(unit_price="1.999"),
    _item(unit_price=""),
    _item(sku="no sku"),
    _order(currency="XXX"),
    _order(payment_method={"type": "No Method"}),
    _order(shipping_address=ADDRESS | {"country": "ZZ"}),
]
OTHERS: list[tuple[str, dict[str, Any], str, str]] = [
    ("CancelOrder", {"order_id": NOBODY, "reason": "why"}, "PUT", f"orders/{NOBODY}/cancel"),
    ("CancelOrder", {"order_id": "x", "reason": "why"}, "PUT", "orders/x/cancel"),
    ("CancelOrder", {"order_id": "ORDER", "reason": ""}, "PUT", "orders/ORDER/cancel"),
    ("ShipOrder", {"order_id": "ORDER", **SHIP}, "PUT", "orders/ORDER/ship"),
    ("DeliverOrder", {"order_id": "ORDER"}, "PUT", "orders/ORDER/deliver"),
    ("RefundOrder", {"order_id": "ORDER", "amount": "1", "reason": "r"}, "POST", "orders/ORDER/refund"),
    ("ReceiveStock", {"sku": "../x", "quantity": 1}, "POST", "inventory/..%2Fx/receipts"),
    ("AdjustStock", {"sku": "NONE-1", "quantity": -1, "reason": "r"}, "POST", "inventory/NONE-1/adjustments"),
    ("RetrySaga", {"saga_id": NOBODY, "reason": "r"}, "POST", f"sagas/{NOBODY}/retry"),
    ("GetOrder", {"order_id": NOBODY}, "GET", f"orders/{NOBODY}"),
    ("GetOrder", {"order_id": "x" * 9_000}, "GET", "orders/" + "x" * 9_000),
    ("GetOrder", {"order_id": "ORDER", "wait": float("nan")}, "GET", "orders/ORDER?wait=nan"),
    ("GetOrder", {"order_id": "ORDER", "min_version": 9}, "GET", "orders/ORDER?min_version=9"),
    ("GetOrder", {"order_id": "ORDER", "min_position": 2**62}, "GET", f"orders/ORDER?min_position={2**62}"),
    ("ListOrders", {"filter": {"status": ["LOST", "CREATED"]}}, "GET", "orders?status=LOST,CREATED"),
    ("ListOrders", {"limit": 0}, "GET", "orders?limit=0"),
    ("ListOrders", {"limit": -(2**63)}, "GET", f"orders?limit={-(2**63)}"),
    ("ListOrders", {"sort": "up"}, "GET", "orders?sort=up"),
    ("ListEvents", {"type": ["No"], "after": 1}, "GET", "events?type=No&after=1"),
    ("ListSagas", {"state": ["odd"]}, "GET", "sagas?state=odd"),
]


def test_what_http_refuses_is_refused_alike(desk: GrpcDesk, order_id: str) -> None:
    cases = [("CreateOrder", message, "POST", "orders") for message in WRONG_ORDERS] + OTHERS
    for method, wrong, verb, path in cases:
        message = {name: order_id if value == "ORDER" else value for name, value in wrong.items()}
        with pytest.raises(grpc.RpcError) as caught:
            desk.call(method, message)
        in_path = {"order_id", "saga_id"} | ({"sku"} if "Stock" in method else set[str]())
        body = None if verb == "GET" else {name: value for name, value in message.items() if name not in in_path}
        answer = desk.http(verb, f"/api/v1/{path.replace('ORDER', order_id)}", json=body)
        assert answer.status_code >= 400, (method, message)
        if not message:  # over gRPC a text always has a value, which is empty, and over HTTP it may be missing
            assert refused(caught.value)[:2] == as_refused(answer)[:2]
        else:
            assert refused(caught.value) == as_refused(answer), (method, message)


def test_what_http_answers_is_answered_alike(desk: GrpcDesk, order_id: str) -> None:
    order, over_http = (
        desk.call("GetOrder", {"order_id": order_id}),
        desk.http("GET", f"/api/v1/orders/{order_id}").text,
    )
    assert f'"total_amount":{order.total_amount},' in over_http.replace(" ", "")
    assert (order.total_amount, order.version, order.items[0].unit_price) == ("1299.00", 1, "1299.00")
    assert desk.call("GetTimeline", {"order_id": order_id}).events[0].event_type == "OrderCreated"
    assert desk.call("CountOrders", {}).total.total >= 0
    assert desk.call("GetStats", {}).head >= 1
    assert "running" in desk.call("SummarizeSagas", {}).states
    assert desk.call("ListReaders", {}).head >= 1
    stock = desk.call("ReceiveStock", {"sku": "BOLT:1", "quantity": 5, "terms": {"idempotency_key": "bolts"}})
    assert (stock.available, desk.call("GetStock", {"sku": "BOLT:1"}).available) == (5, 5)


def test_a_key_used_over_one_is_known_over_the_other_and_names_its_actor(desk: GrpcDesk) -> None:
    terms = {"idempotency_key": "once", "actor": "ada", "expected_version": 0}
    first = desk.call("CreateOrder", ORDER | {"terms": terms | {"dry_run": True}})
    assert (first.dry_run, [each.event_type for each in first.events]) == (True, ["OrderCreated"])
    terms.pop("expected_version")
    first = desk.call("CreateOrder", ORDER | {"terms": terms})
    again = desk.call("CreateOrder", ORDER | {"terms": terms | {"actor": "  ada "}})  # blanks around it are none of it
    headers = {"Idempotency-Key": "once", "Orderdeck-Actor": "ada"}
    over_http = desk.http("POST", "/api/v1/orders", json=ORDER, headers=headers)
    assert (first.replayed, again.replayed) == (False, True)
    assert first.order_id == again.order_id == over_http.json()["order_id"]
    (event,) = desk.call("GetTimeline", {"order_id": first.order_id}).events
    assert json.loads(event.metadata)["user_id"] == "ada"
    with pytest.raises(grpc.RpcError) as caught:
        desk.call("CreateOrder", _order(customer_id="another") | {"terms": terms})
    assert refused(caught.value) == ("FAILED_PRECONDITION", "key_reused", ())
    for terms in ({"idempotency_key": "a\r\nX: y"}, {"idempotency_key": "x" * 256}, {"expected_version": -1}):
        with pytest.raises(grpc.RpcError) as caught:
            desk.call("CreateOrder", ORDER | {"terms": terms})
        assert refused(caught.value)[:2] == ("INVALID_ARGUMENT", "validation_failed")


# --- bytes that are no message -------------------------------------------------------------------------------
def test_hostile_bytes_are_refused_and_unknown_fields_are_named(desk: GrpcDesk) -> None:
    for sent in (b"\x0a\x02\xff\xfe", b"\x0a\xff\xff\xff\xff\x0f", b"\xff" * 40, b"\x0a\x03\xed\xa0\x80"):
        with pytest.raises(grpc.RpcError) as caught:
            desk.send("CreateOrder", sent)
        assert refused(caught.value) == ("INVALID_ARGUMENT", "validation_failed", ("body",))
    with pytest.raises(grpc.RpcError) as caught:
        desk.send("CreateOrder", b"\x0a" + b"\x80\x80\x80\x01" + b"x" * (1 << 21))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    stock = b"\x0a\x06NUT-01\x10\x05"
    assert [each.field for each in desk.send("ReceiveStock", stock + b"\xa0\x06\x01").warnings] == ["field_100"]
    for wrong in (b"\x7a\x02\x20\x01" + b"\xa0\x06\x01", b"\x7a\x03\xa0\x06\x01"):  # strict; unknown in the terms
        with pytest.raises(grpc.RpcError) as caught:
            desk.send("ReceiveStock", stock + wrong)
        assert refused(caught.value) == ("INVALID_ARGUMENT", "validation_failed", ("field_100",))


# --- who may, and when ---------------------------------------------------------------------------------------
def test_keys_and_roles_are_those_of_http_and_only_health_is_open(desk: GrpcDesk, order_id: str) -> None:
    viewer = desk.make_key("onlooker", "viewer")
    assert desk.call("GetOrder", {"order_id": order_id}, metadata=desk.metadata(viewer)).order_id == order_id
    for key, expected in (("od_x", "key_not_valid"), ("", "key_missing"), (viewer, "role_too_low")):
        shown = desk.metadata(key) if key else [("x-request-id", "1")]
        with pytest.raises(grpc.RpcError) as caught:
            desk.call("CreateOrder", ORDER, metadata=shown)
        assert refused(caught.value)[1] == expected
        assert "sign the request" not in str(caught.value.details())  # which gRPC does not take
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    health: Any = health_pb2_grpc.HealthStub(desk.channel)
    for service in ("", "orderdeck.v1.Commands", "orderdeck.v1.Log"):
        assert health.Check(health_pb2.HealthCheckRequest(service=service)).status == 1
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="no"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    reflect: Any = reflection_pb2_grpc.ServerReflectionStub(desk.channel).ServerReflectionInfo
    (answer,) = reflect(iter([asked]), metadata=desk.metadata(viewer))
    assert "orderdeck.v1.Queries" in {each.name for each in answer.list_services_response.service}
    with pytest.raises(grpc.RpcError) as caught:
        list(reflect(iter([asked])))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


# --- the log -------------------------------------------------------------------------------------------------
def test_a_follower_goes_on_after_a_restart_without_a_gap_or_a_repetition(desk: GrpcDesk) -> None:
    placed = [desk.call("CreateOrder", ORDER).order_id for _ in range(3)]
    stream, seen = desk.follow(after=0), []
    head = desk.call("GetStats", {}).head
    for entry in stream:
        seen.append(entry.position)
        if entry.position == head:
            break
    assert seen == list(range(1, head + 1))
    process = desk.grpc.process
    assert process is not None
    process.terminate()
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert refused(caught.value) == ("UNAVAILABLE", "stream_ended", ())
    assert process.wait(20) == 0
    desk.http("POST", "/api/v1/orders", json=ORDER)
    desk.grpc.start()
    until(lambda: is_ready(desk.grpc))
    desk.call("CreateOrder", ORDER, wait_for_ready=True)
    stream = desk.follow(after=seen[-1])
    assert [next(stream).position for _ in range(2)] == [head + 1, head + 2]
    stream.cancel()
    assert len(placed) == 3
    with pytest.raises(grpc.RpcError) as caught:
        next(desk.follow(after=10**9))
    assert refused(caught.value) == ("INVALID_ARGUMENT", "validation_failed", ("after",))
    until(lambda: b"orderdeck_grpc_streams 0.0" in desk.metrics())


def test_a_generated_client_in_node_sees_its_order_confirmed_over_restarts_without_a_gap(
    desk: GrpcDesk, tmp_path: Path
) -> None:
    desk.call("ReceiveStock", {"sku": "LAPTOP-001", "quantity": 500})
    with NodeExample(tmp_path, desk.port, desk.key) as example:
        until(lambda: len(example.positions()) == _head(desk))
        assert desk.grpc.process is not None
        desk.grpc.process.terminate()
        assert desk.grpc.process.wait(20) == 0
        assert desk.http("POST", "/api/v1/orders", json=ORDER).status_code == 201  # while nobody can follow
        desk.grpc.start()
        until(lambda: len(example.positions()) == _head(desk))
        desk.grpc.kill()
        with desk.sagas():
            until(lambda: _head(desk) > len(example.positions()))
            desk.grpc.start()
            example.wait()
        seen, lines = example.positions(), example.lines()
        assert seen == list(range(1, len(seen) + 1))
        assert len([line for line in lines if line.startswith("going on after ")]) >= 2
        (confirmed,) = desk.call("ListEvents", {"after": seen[-1] - 1, "limit": 1}, wait_for_ready=True).events
        order = desk.call("GetOrder", {"order_id": confirmed.aggregate_id})
        assert confirmed.event_type == "OrderConfirmed"
        assert lines[0] == f"{order.order_number} CREATED "
        example.start()
        example.wait()
        assert example.lines()[0] == f"{order.order_number} CREATED replayed"  # the same order for the same key
        assert example.positions() == seen


def _head(desk: GrpcDesk) -> int:
    return desk.http("GET", "/api/v1/stats").json()["head"]


# --- outages -------------------------------------------------------------------------------------------------
def test_while_a_service_hangs_or_is_away_it_is_said_and_deadlines_hold(desk: GrpcDesk, order_id: str) -> None:
    desk.commands.kill()
    with pytest.raises(grpc.RpcError) as caught:
        desk.call("CreateOrder", ORDER)
    assert refused(caught.value) == ("UNAVAILABLE", "unavailable", ())
    assert desk.call("GetOrder", {"order_id": order_id}).order_id == order_id
    health: Any = health_pb2_grpc.HealthStub(desk.channel)
    assert health.Check(health_pb2.HealthCheckRequest(service="orderdeck.v1.Commands")).status == 2
    assert health.Check(health_pb2.HealthCheckRequest(service="orderdeck.v1.Queries")).status == 1
    with pytest.raises(grpc.RpcError) as caught:
        desk.call("GetOrder", {"order_id": order_id, "min_version": 5, "wait": 5}, timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    desk.commands.start()
    until(lambda: is_ready(desk.commands))
