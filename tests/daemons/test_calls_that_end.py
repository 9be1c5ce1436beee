"""Calls of gRPC that end before their answer: what is counted, and what grpcio logs of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from daemons.grpc_api.doorway import CALLS, Doorway
from daemons.grpc_api.grpc_logs import LIBRARY, keep_readable
from daemons.process.guard.places import Places

METHOD = "orderdeck.v1.Commands/CreateOrder"


@asynccontextmanager
async def served(answer: Callable[[bytes, Any], Awaitable[bytes]]) -> AsyncIterator[Any]:
    """Calls the method, which `answer` answers with at most 10 bytes."""
    server = grpc.aio.server(
        interceptors=[Doorway(Places(1, 1), None, 0)], options=(("grpc.max_send_message_length", 10),)
    )
    service, _, method = METHOD.partition("/")
    handlers = {method: grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    keep_readable()
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel.unary_unary(f"/{METHOD}")
    await server.stop(None)


async def test_an_answer_that_cannot_be_sent_is_one_line_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(_sent: bytes, _context: Any) -> bytes:
        return b"longer than may be sent"  # for grpcio it is the same as a call that has ended meanwhile

    with caplog.at_level(logging.INFO, LIBRARY):
        async with served(answer) as call:
            assert await call(b"", timeout=20).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    (record,) = [record for record in caplog.records if record.name == LIBRARY]
    assert (record.levelname, record.exc_info) == ("INFO", None)
    assert "its call had ended" in record.getMessage()
    assert METHOD in record.getMessage()


@pytest.mark.parametrize("within", [0.1, 20])
async def test_a_call_whose_caller_waits_no_longer_is_counted_as_cancelled(within: float) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(_sent: bytes, context: Any) -> bytes:
        context.add_done_callback(lambda _: ended.set())
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    before = _counted("CANCELLED"), _counted("OK")
    async with served(wait) as call:
        waiting = call(b"", timeout=within)
        await asyncio.wait_for(begun.wait(), 20)
        if within == 20:
            waiting.cancel()
        await asyncio.wait_for(ended.wait(), 20)
    assert (_counted("CANCELLED"), _counted("OK")) == (before[0] + 1, before[1])


def _counted(code: str) -> float:
    samples = next(iter(CALLS.collect())).samples
    wanted = {"method": METHOD, "code": code}
    return sum(each.value for each in samples if each.name.endswith("_count") and each.labels == wanted)
