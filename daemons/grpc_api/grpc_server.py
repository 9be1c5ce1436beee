"""Opens the port for gRPC, answers on it until the daemon stops, and bounds what a caller may cost."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from core.bootstrap import must_be_ready
from core.settings import Settings
from daemons.grpc_api.backends import Backend
from daemons.grpc_api.doorway import Doorway
from daemons.grpc_api.grpc_logs import keep_readable
from daemons.grpc_api.grpc_methods import Methods
from daemons.grpc_api.health import Check, HealthService
from daemons.grpc_api.routes import SERVICES
from daemons.process.guard.places import Places
from daemons.process.guard.server import DRAIN
from daemons.process.listening import listen
from daemons.process.vitals import Vitals

MOST_STREAMS = 100  # as many as the query API has places for, of one address, which is ours
SHARE = 50  # of these, for one address
MOST_CALLS = 300  # at the same time, with the streams; others get RESOURCE_EXHAUSTED
LARGEST_MESSAGE = 1 << 20  # bytes that a caller may send, as over HTTP
STREAM_ENDS_IN = 5  # seconds in which a reader who takes nothing may still take the end of its stream

SECOND = 1_000
OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.so_reuseport", 0),  # else a second daemon could listen at the same port, and get every other caller
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.compression_enabled_algorithms_bitset", 1),  # none: a small message could become a very large one
    ("grpc.max_concurrent_streams", 100),  # of one connection
    ("grpc.max_allowed_incoming_connections", 512),
    ("grpc.server_handshake_timeout_ms", 10 * SECOND),
    ("grpc.max_connection_idle_ms", 600 * SECOND),
    ("grpc.keepalive_time_ms", 60 * SECOND),  # finds out readers who have gone without a word
    ("grpc.keepalive_timeout_ms", 20 * SECOND),
    ("grpc.http2.min_ping_interval_without_data_ms", 20 * SECOND),  # who pings more often is cut off, at the third
    ("grpc.http2.max_ping_strikes", 2),
)


async def work(settings: Settings, vitals: Vitals) -> None:
    """Answer calls until the daemon stops. Raises ConfigurationError when the port cannot be opened.

    It waits for the database as all daemons do: keys and the audit are there, and at the first start nothing is yet.
    """
    await must_be_ready(settings)
    commands = Backend("command API", settings.commands_at)
    queries = Backend("query API", settings.queries_at)
    try:
        server = make_server(settings, vitals, commands, queries)
        await server.start()
        try:
            vitals.started(lambda: why_not_ready(commands, queries))
            await vitals.stop.wait()
        finally:
            await server.stop(DRAIN)
    finally:
        await commands.close()
        await queries.close()


async def why_not_ready(*backends: Backend) -> str | None:
    reasons = await asyncio.gather(*(each.why_not_ready() for each in backends))
    return "; ".join(reason for reason in reasons if reason) or None


def make_server(settings: Settings, vitals: Vitals, commands: Backend, queries: Backend) -> grpc.aio.Server:
    with listen(settings, "grpc_port") as free:  # its refusal says what to do; gRPC then opens the port itself
        host, port = free.getsockname()[:2]
    server = grpc.aio.server(
        interceptors=[Doorway(Places(MOST_STREAMS, SHARE), vitals.door, port)],
        options=OPTIONS,
        maximum_concurrent_rpcs=MOST_CALLS,
    )
    keep_readable()
    methods = Methods(commands, queries, vitals.stop)
    server.add_generic_rpc_handlers((_Handlers(methods),))
    checks: dict[str, Check] = {
        "": vitals.why_not_ready,
        **{name: commands.why_not_ready if name.endswith(".Commands") else queries.why_not_ready for name in SERVICES},
    }
    services: Any = health_pb2_grpc
    services.add_HealthServicer_to_server(HealthService(checks, vitals.stop), server)
    reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if vitals.tls is None:
        server.add_insecure_port(place)
    else:
        server.add_secure_port(place, grpc.ssl_server_credentials([(vitals.tls.key, vitals.tls.certificate)]))
    return server


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, methods: Methods) -> None:
        self._methods = methods

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._methods.handler(handler_call_details.method)
