"""The connections to the payment provider: which answers they read, and that no call gets the answer of another."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from core.adapters.payments.http import HttpPaymentGateway
from core.domain.provider import Approved, Declined, PaymentAnswer
from core.errors import GatewayTimeout, GatewayUnavailable
from tests.support.sandbox_process import SandboxProcess


async def authorise(gateway: HttpPaymentGateway, payment: UUID) -> PaymentAnswer:
    amount, key = Decimal("10.00"), f"{payment}:authorise"
    return await gateway.authorise(
        key, payment_id=payment, order_id=UUID(int=7), amount=amount, currency="USD", method="card"
    )


async def test_after_a_call_that_is_cancelled_at_any_moment_the_next_one_gets_its_own_answer(
    sandbox: SandboxProcess,
) -> None:
    async with HttpPaymentGateway(sandbox.url) as gateway:
        for turns in range(8):
            cut_off = asyncio.create_task(authorise(gateway, uuid4()))
            for _ in range(turns):
                await asyncio.sleep(0)
            cut_off.cancel()
            payment = uuid4()
            approved = await authorise(gateway, payment)
            assert await gateway.look_up(f"{payment}:authorise") == approved, f"cancelled after {turns} turns"


async def test_one_connection_serves_one_call_after_the_other() -> None:
    made = list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.append(writer)
        for _ in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n" + b'{"reference":"r"}')
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with HttpPaymentGateway(f"http://127.0.0.1:{port}") as gateway:
            assert [type(await authorise(gateway, uuid4())) for _ in range(2)] == [Approved] * 2
    assert len(made) == 1


async def test_what_the_provider_says_unasked_is_no_answer_to_the_next_call() -> None:
    made = list[asyncio.StreamWriter]()

    async def approve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.append(writer)
        while head := await reader.readline():
            if head == b"\r\n":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n" + b'{"reference":"r"}')

    async with await asyncio.start_server(approve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with HttpPaymentGateway(f"http://127.0.0.1:{port}") as gateway:
            assert type(await authorise(gateway, uuid4())) is Approved
            made[0].write(b"HTTP/1.1 402 No\r\nContent-Length: 2\r\n\r\n{}")
            for _ in range(10):  # until it has arrived
                await asyncio.sleep(0)
            with pytest.raises(GatewayUnavailable, match="before it was asked"):
                await authorise(gateway, uuid4())
            assert type(await authorise(gateway, uuid4())) is Approved
        for writer in made:
            writer.close()
            await writer.wait_closed()
    assert len(made) == 2


async def test_a_call_was_not_sent_while_the_name_of_the_provider_is_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    async with HttpPaymentGateway("http://provider.test", timeout=0.2) as gateway:
        with pytest.raises(GatewayUnavailable):
            await authorise(gateway, uuid4())


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n" + b'{"reference":"r"}', Approved),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 402 No\r\nContent-Length: 2\r\n\r\n{}", Declined),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n" + b'{"reference":"r"}' + b"\r\n0\r\n\r\n",
            Approved,
        ),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b'{"reference":"r"}', Approved),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n" + b'{"reference":"r"}', GatewayTimeout),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", GatewayTimeout),
        (b"HTTP/1.1 101 Other\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n", GatewayUnavailable),
        (b"", GatewayTimeout),
    ],
)
async def test_an_answer_is_read_however_it_ends_and_a_part_of_one_is_none(said: bytes, outcome: type) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in (said[:20], said[20:]):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with HttpPaymentGateway(f"http://127.0.0.1:{port}") as gateway:
            try:
                got: object = await authorise(gateway, uuid4())
            except (GatewayTimeout, GatewayUnavailable) as error:
                got = error
    assert type(got) is outcome


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\0" * 1000, "Bad status line"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 9000 + b"\r\n\r\n", "Got more than 8190 bytes when reading"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "Response payload is not completed"),
    ],
    ids=["no HTTP", "a long header", "cut off"],
)
async def test_the_reason_of_an_answer_that_cannot_be_read_is_a_few_words_without_its_bytes(
    said: bytes, reason: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with HttpPaymentGateway(f"http://127.0.0.1:{port}") as gateway:
            with pytest.raises(GatewayTimeout) as refused:
                await authorise(gateway, uuid4())
    assert str(refused.value) == f"no answer from the payment provider: {reason}"


async def test_a_call_to_an_address_that_is_none_was_never_sent() -> None:
    async with HttpPaymentGateway("http://256.1.1.1") as gateway:
        with pytest.raises(GatewayUnavailable, match="cannot be reached"):
            await authorise(gateway, uuid4())
