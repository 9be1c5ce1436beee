"""What a caller of the gRPC API may cost: late, packed, large, slow and idle callers harm nobody but themselves."""

from __future__ import annotations

import asyncio
import gzip
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import psutil
import pytest
from google.protobuf.message_factory import GetMessageClass

from core.adapters.postgres.embedded import EmbeddedPostgres
from tests.support.command_api import ADDRESS
from tests.support.grpc_desk import METHODS, GrpcDesk
from tests.support.http2 import GOAWAY, HEADERS, PING, RST_STREAM, Http2, call, frame
from tests.support.orders import Sample, write
from tests.support.stack import until

MIB = 1 << 20
ITEM = {"product_id": "LAPTOP-001", "sku": "LAPTOP-001", "quantity": 1, "unit_price": "1299.00"}
ORDER: dict[str, Any] = {"customer_id": "customer-1", "items": [ITEM], "shipping_address": ADDRESS}
LOG = Sample(1_000).events()  # some 3 MB as entries, far more than a stream of HTTP/2 has on its way


@pytest.fixture(scope="module")
def desk(postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrpcDesk]:
    asyncio.run(_prepared(postgres, template))
    with GrpcDesk(postgres.dsn("grpc_limits"), tmp_path_factory.mktemp("home")) as desk:
        yield desk
        assert "Traceback" not in desk.grpc.output()


async def _prepared(postgres: EmbeddedPostgres, template: str) -> None:
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(f"CREATE DATABASE grpc_limits TEMPLATE {template} STRATEGY file_copy")
    await admin.close()
    await write(postgres.dsn("grpc_limits"), LOG)


def memory(desk: GrpcDesk) -> int:
    assert desk.grpc.process is not None
    return psutil.Process(desk.grpc.process.pid).memory_info().rss


@contextmanager
def lazy_readers(desk: GrpcDesk, count: int) -> Iterator[list[Any]]:
    """Streams of the whole log, each on a connection of its own; their readers take nothing unless the test does."""
    route = METHODS["Follow"]
    sent = GetMessageClass(route.request)(after=0).SerializeToString()
    small = (("grpc.http2.lookahead_bytes", 16 * 1024), ("grpc.http2.bdp_probe", 0))
    channels = [grpc.insecure_channel(f"127.0.0.1:{desk.port}", options=small) for _ in range(count)]
    try:
        yield [
            each.unary_stream(route.full_name)(sent, metadata=tuple(desk.metadata()), timeout=60) for each in channels
        ]
    finally:
        for channel in channels:
            channel.close()


# --- late ----------------------------------------------------------------------------------------------------
def test_a_command_past_its_deadline_is_said_so_and_recorded_once_under_its_key(desk: GrpcDesk) -> None:
    order = ORDER | {"customer_id": "late", "terms": {"idempotency_key": str(uuid4())}}
    head = desk.http("GET", "/api/v1/stats").json()["head"]
    assert desk.commands.process is not None
    desk.commands.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(grpc.RpcError) as caught:
            desk.call("CreateOrder", order, timeout=0.3)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    finally:
        desk.commands.process.send_signal(signal.SIGCONT)
    answers = [desk.call("CreateOrder", order) for _ in range(3)]
    assert len({answer.order_id for answer in answers}) == 1
    events = desk.call("ListEvents", {"after": head, "type": ["OrderCreated"]}).events
    assert [event.aggregate_id for event in events] == [answers[0].order_id]


def test_of_a_command_whose_deadline_has_passed_nothing_is_begun(desk: GrpcDesk) -> None:
    head = desk.http("GET", "/api/v1/stats").json()["head"]
    route = METHODS["CreateOrder"]
    sent = GetMessageClass(route.request)(**ORDER).SerializeToString()
    with Http2(desk.port) as connection:
        for stream in range(1, 40, 2):
            metadata = [*desk.metadata(), ("grpc-timeout", "1n")]  # no library sends a deadline that has passed
            connection.send(call(stream, route.full_name, sent, metadata))
        ended = 0
        while ended < 20:
            one = connection.read_frame()
            assert one is not None
            ended += one[0] in (HEADERS, RST_STREAM)
    desk.call("ReceiveStock", {"sku": "AFTER-1", "quantity": 1})
    assert [event.event_type for event in desk.call("ListEvents", {"after": head}).events] == ["StockReplenished"]


# --- packed and large ----------------------------------------------------------------------------------------
def test_a_packed_message_is_refused_before_it_is_unpacked(desk: GrpcDesk) -> None:
    route = METHODS["CreateOrder"]
    before = memory(desk)
    for size in (1, 900_000, 16 * MIB):
        packed = desk.channel.unary_unary(route.full_name, None, GetMessageClass(route.answer).FromString)
        with pytest.raises(grpc.RpcError) as caught:
            packed(b"x" * size, metadata=tuple(desk.metadata()), timeout=20, compression=grpc.Compression.Gzip)
        assert caught.value.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED), size
    assert len(gzip.compress(b"x" * 16 * MIB)) < 50_000, "it is small enough to come in"
    assert memory(desk) - before < 8 * MIB
    assert desk.call("GetStats", {}).head > 0


def test_a_message_above_the_limit_is_refused_and_one_below_it_is_read(desk: GrpcDesk) -> None:
    for size, codes in ((MIB + 1, ["RESOURCE_EXHAUSTED"]), (MIB - 100, ["INVALID_ARGUMENT"])):
        with pytest.raises(grpc.RpcError) as caught:
            desk.send("CreateOrder", b"\xff" * size)
        assert [caught.value.code().name] == codes
    key = str(uuid4())
    with pytest.raises(grpc.RpcError) as caught:
        desk.call("CreateOrder", ORDER, metadata=[*desk.metadata(), ("x-large", "x" * 64 * 1024)])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert desk.call("CreateOrder", ORDER | {"terms": {"idempotency_key": key}}).version == 1


# --- slow ----------------------------------------------------------------------------------------------------
def test_readers_who_take_nothing_cost_a_bounded_buffer_and_delay_nobody(desk: GrpcDesk) -> None:
    before = memory(desk)
    with lazy_readers(desk, 10) as streams:
        for stream in streams:
            next(stream)  # it is followed, and nothing more is taken
        seen = 0
        for entry in desk.follow(after=0):
            seen += 1
            if entry.position >= len(LOG):
                break
        assert seen == len(LOG)
        assert memory(desk) - before < 10 * MIB, "ten readers would have the whole log of 3 MB each"
        assert desk.call("CreateOrder", ORDER, timeout=5).version == 1


def test_readers_who_go_in_the_middle_are_no_mistake_of_ours(desk: GrpcDesk) -> None:
    for _ in range(2):  # a caller may open 60 streams a minute, and other tests open some
        with lazy_readers(desk, 10) as streams:
            for stream in streams:
                next(stream)
    until(lambda: b"orderdeck_grpc_streams 0.0" in desk.metrics())
    assert "request_failed" not in desk.grpc.output()


# --- idle ----------------------------------------------------------------------------------------------------
def test_who_pings_without_end_is_cut_off(desk: GrpcDesk) -> None:
    with Http2(desk.port) as connection:
        connection.send(frame(PING, b"12345678") * 10)
        seen: list[tuple[int, bytes]] = []
        while (one := connection.read_frame()) is not None:
            seen.append(one)
    (goodbye,) = [payload for kind, payload in seen if kind == GOAWAY]
    assert b"too_many_pings" in goodbye
    assert desk.call("GetStats", {}).head > 0


def test_more_idle_connections_than_allowed_are_refused_and_places_come_free(desk: GrpcDesk) -> None:
    allowed = 512
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2_048)), hard))
    assert desk.grpc.process is not None
    daemon = psutil.Process(desk.grpc.process.pid)
    connections: list[Http2] = []
    try:
        for _ in range(allowed + 40):
            try:
                connections.append(Http2(desk.port))
            except OSError:
                break
        assert len(connections) > allowed
        until(lambda: len(_connected(daemon, desk.port)) == allowed)
    finally:
        for connection in connections:
            connection.__exit__(None, None, None)
    with grpc.insecure_channel(f"127.0.0.1:{desk.port}") as channel:
        until(lambda: _answers(channel, desk))


def _connected(daemon: psutil.Process, port: int) -> list[Any]:
    return [
        one for one in daemon.net_connections() if one.status == "ESTABLISHED" and one.laddr and one.laddr[1] == port
    ]


def _answers(channel: grpc.Channel, desk: GrpcDesk) -> bool:
    route = METHODS["GetStats"]
    stats = channel.unary_unary(route.full_name, None, GetMessageClass(route.answer).FromString)
    try:
        answer: Any = stats(b"", metadata=tuple(desk.metadata()), timeout=5, wait_for_ready=True)
        return bool(answer.head)
    except grpc.RpcError:
        return False
