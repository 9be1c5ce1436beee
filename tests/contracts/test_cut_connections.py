"""A server that cuts each connection as soon as it is made, as a killed one does with those in its queue, is away."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Coroutine, Iterator
from decimal import Decimal
from uuid import uuid4

import pytest
import uvloop

from core.adapters.kafka.schema_registry import SchemaRegistry
from core.adapters.payments.http import HttpPaymentGateway
from core.errors import GatewayTimeout, GatewayUnavailable, Unavailable
from daemons.http import other_processes

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close that resets the connection


@pytest.fixture
def cutting() -> Iterator[str]:
    """The address of a server that resets every connection at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def in_a_busy_loop(work: Coroutine[object, object, None]) -> None:
    """Run it as the daemons do, on uvloop, which comes late to its connections since others have work too."""

    async def both() -> None:
        async def others() -> None:
            while True:
                time.sleep(0.002)  # noqa: ASYNC251 - it is to hold up the loop
                await asyncio.sleep(0)

        busy = asyncio.create_task(others())
        try:
            await work
        finally:
            busy.cancel()

    uvloop.run(both())


def test_the_payment_gateway_says_that_the_provider_is_away(cutting: str) -> None:
    async def capture() -> None:
        async with HttpPaymentGateway(cutting) as gateway:
            for _ in range(3):
                with pytest.raises((GatewayUnavailable, GatewayTimeout)):
                    await gateway.capture("k:capture", payment_id=uuid4(), amount=Decimal(1))

    in_a_busy_loop(capture())


def test_the_schema_registry_is_away(cutting: str) -> None:
    async def ask() -> None:
        async with SchemaRegistry(cutting) as registry:
            with pytest.raises(Unavailable, match="is away"):
                await registry.register("a", {})

    in_a_busy_loop(ask())


def test_another_process_has_no_figures(cutting: str) -> None:
    async def ask() -> None:
        assert await other_processes._get(f"{cutting}/health", []) is None

    in_a_busy_loop(ask())
