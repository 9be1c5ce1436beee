"""Too many calls to the payment provider at once: a call without room is made later, and does not count as a try."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from core.adapters.payments import http
from core.adapters.payments.breaker import IN_A_ROW
from core.adapters.payments.http import HttpPaymentGateway
from core.errors import GatewayNotTried, GatewayTimeout, GatewayUnavailable
from tests.support.order_desk import Desk

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"reference":"r"}'


class Slow:
    """A provider that approves everything, once the test allows it."""

    def __init__(self) -> None:
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(length)
            self.asked.set()
            await self.may_answer.wait()
            writer.write(ANSWER)


@pytest.fixture
async def narrow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Slow]:
    """The desk's provider, with room for one call at a time."""
    monkeypatch.setattr(http, "CONNECTIONS", 1)
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.02)
    slow = Slow()
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with HttpPaymentGateway(f"http://127.0.0.1:{port}", timeout=60) as gateway:
        desk.gateway = gateway  # type: ignore[assignment]
        yield slow
    server.close()


async def test_a_call_that_finds_no_room_raises_not_tried_and_the_breaker_stays_closed(
    desk: Desk, narrow: Slow
) -> None:
    first = asyncio.create_task(desk.gateway.void("k", payment_id=await desk.place(), reason="r"))
    await narrow.asked.wait()
    for _ in range(2 * IN_A_ROW):
        with pytest.raises(GatewayNotTried, match="under way"):
            await desk.gateway.void("k", payment_id=await desk.place(), reason="r")
    narrow.may_answer.set()
    await first
    await desk.gateway.void("k", payment_id=await desk.place(), reason="r")


async def test_a_saga_whose_call_finds_no_room_is_parked_and_uses_up_no_try(desk: Desk, narrow: Slow) -> None:
    await desk.stock(A=10)
    desk.scale = 0.0  # so a third failed try would be the last
    async with desk.running():
        orders = [await desk.place() for _ in range(4)]
        connection = await desk.open()
        parked = "SELECT count(*) FROM sagas WHERE owner IS NULL AND last_error LIKE 'too many calls%'"
        async with asyncio.timeout(60):
            while await connection.fetchval(parked) < 3:
                await asyncio.sleep(0.01)
        assert await connection.fetchval("SELECT max(attempts) FROM sagas") == 0
        await connection.close()
        narrow.may_answer.set()
        assert [await desk.ended(order) for order in orders] == ["SagaCompleted"] * 4
    assert "SagaStepFailed" not in [event.event_type for event in await desk.log()]


async def test_the_breaker_opens_although_all_room_is_taken_and_more_calls_always_wait(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "CONNECTIONS", 4)
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.05)  # less than a call takes, so some wait whenever room is freed
    silent = Slow()
    async with await asyncio.start_server(silent.serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with HttpPaymentGateway(url, timeout=0.3) as gateway:

            async def call_until_the_breaker_is_open(charge: UUID) -> None:
                while True:
                    try:
                        await gateway.void("k", payment_id=charge, reason="r")
                    except GatewayNotTried as error:
                        if "is not being called" in str(error):
                            return
                    except (GatewayTimeout, GatewayUnavailable):
                        charge = uuid4()  # a charge that fails often opens the breaker as well, in another way

            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                for _ in range(40):
                    group.create_task(call_until_the_breaker_is_open(uuid4()))
        silent.may_answer.set()
