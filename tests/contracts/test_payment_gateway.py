"""One suite for every payment gateway: in memory, and over HTTP against a real sandbox process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from core.adapters.memory.payments import MemoryPaymentGateway
from core.adapters.payments import http
from core.adapters.payments.http import CONNECTIONS, LONGEST_WAIT, HttpPaymentGateway
from core.domain.provider import Approved, Declined, PaymentAnswer, Refused
from core.errors import GatewayNotTried, GatewayTimeout, GatewayUnavailable
from core.ports.payments import PaymentGateway
from tests.support.ports import free_port
from tests.support.sandbox_process import SandboxProcess

TEN = Decimal("10.00")
Step = Callable[[PaymentGateway, UUID], Awaitable[PaymentAnswer]]
SHORT = 0.75  # seconds; long enough for the sandbox on a busy machine, short enough for a test that waits it out


async def authorise(
    gateway: PaymentGateway, payment: UUID, method: str = "card", amount: Decimal = TEN, key: str | None = None
) -> PaymentAnswer:
    return await gateway.authorise(
        key or f"{payment}:authorise",
        payment_id=payment,
        order_id=UUID(int=7),
        amount=amount,
        currency="USD",
        method=method,
    )


async def capture(gateway: PaymentGateway, payment: UUID, amount: Decimal = TEN) -> PaymentAnswer:
    return await gateway.capture(f"{payment}:capture", payment_id=payment, amount=amount)


async def void(gateway: PaymentGateway, payment: UUID) -> PaymentAnswer:
    return await gateway.void(f"{payment}:void", payment_id=payment, reason="cancelled")


async def refund(gateway: PaymentGateway, payment: UUID, amount: Decimal = TEN) -> PaymentAnswer:
    return await gateway.refund(f"{payment}:refund", payment_id=payment, amount=amount, reason="broken")


async def test_a_payment_is_authorised_captured_and_refunded(gateway: PaymentGateway, payment: UUID) -> None:
    answers = [await step(gateway, payment) for step in (authorise, capture, refund)]
    assert all(isinstance(each, Approved) and each.reference for each in answers)
    assert len(set(answers)) == 3


async def test_the_gateway_answers_the_same_key_in_the_same_way(gateway: PaymentGateway, payment: UUID) -> None:
    for step in (authorise, capture, refund):
        first = await step(gateway, payment)
        assert await step(gateway, payment) == first


async def test_the_gateway_refuses_a_key_with_another_request(gateway: PaymentGateway, payment: UUID) -> None:
    await authorise(gateway, payment)
    assert isinstance(await authorise(gateway, payment, amount=Decimal("9.99")), Refused)


async def test_the_gateway_refuses_a_second_authorisation_of_a_payment(gateway: PaymentGateway, payment: UUID) -> None:
    await authorise(gateway, payment)
    assert isinstance(await authorise(gateway, payment, key=f"{payment}:another"), Refused)


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("test_card_fail", "card declined"),
        ("test_card_insufficient_funds", "insufficient funds"),
        ("seashells", "unsupported payment method"),
    ],
)
async def test_a_declined_payment_has_a_reason_and_stays_declined(
    gateway: PaymentGateway, payment: UUID, method: str, reason: str
) -> None:
    assert await authorise(gateway, payment, method) == Declined(reason)
    assert await authorise(gateway, payment, method) == Declined(reason)
    assert await gateway.look_up(f"{payment}:authorise") == Declined(reason)
    assert isinstance(await void(gateway, payment), Approved)  # nothing is held


async def test_a_voided_payment_holds_no_money_and_cannot_be_captured(gateway: PaymentGateway, payment: UUID) -> None:
    await authorise(gateway, payment)
    assert isinstance(await void(gateway, payment), Approved)
    assert isinstance(await capture(gateway, payment), Refused)


async def test_a_captured_payment_cannot_be_voided(gateway: PaymentGateway, payment: UUID) -> None:
    await authorise(gateway, payment)
    await capture(gateway, payment)
    assert isinstance(await void(gateway, payment), Refused)


async def test_a_payment_voided_in_advance_is_never_authorised(gateway: PaymentGateway, payment: UUID) -> None:
    assert isinstance(await void(gateway, payment), Approved)
    assert isinstance(await authorise(gateway, payment), Refused)
    assert isinstance(await capture(gateway, payment), Refused)


@pytest.mark.parametrize("step", [capture, refund])
async def test_an_unknown_payment_has_no_money_to_move(gateway: PaymentGateway, payment: UUID, step: Step) -> None:
    assert isinstance(await step(gateway, payment), Refused)


async def test_the_gateway_refuses_to_capture_more_than_was_authorised(gateway: PaymentGateway, payment: UUID) -> None:
    await authorise(gateway, payment)
    assert isinstance(await capture(gateway, payment, Decimal("10.01")), Refused)


async def test_refunds_in_parts_each_under_a_key_of_its_own_never_exceed_what_was_captured(
    gateway: PaymentGateway, payment: UUID
) -> None:
    await authorise(gateway, payment)
    await capture(gateway, payment)

    async def part(refund_id: str, amount: str) -> PaymentAnswer:
        key = f"{payment}:refund:{refund_id}"
        return await gateway.refund(key, payment_id=payment, amount=Decimal(amount), reason="broken")

    first = await part("a", "6.00")
    assert isinstance(first, Approved)
    assert await part("a", "6.00") == first, "the same key is the same refund"
    assert isinstance(await part("b", "4.01"), Refused)
    assert isinstance(await part("b", "4.00"), Refused), "the answer to a key is final"
    assert isinstance(await part("b:2", "4.00"), Approved)
    assert isinstance(await part("c", "0.01"), Refused)


async def test_the_gateway_refuses_to_refund_more_than_was_captured(gateway: PaymentGateway, payment: UUID) -> None:
    await authorise(gateway, payment)
    await capture(gateway, payment)
    assert isinstance(await refund(gateway, payment, Decimal("10.01")), Refused)


async def test_a_flaky_provider_is_away_twice_and_charges_nothing(gateway: PaymentGateway, payment: UUID) -> None:
    for _ in range(2):
        with pytest.raises(GatewayUnavailable) as away:
            await authorise(gateway, payment, "test_card_flaky")
        assert away.value.retry_after == 1.0
        assert await gateway.look_up(f"{payment}:authorise") is None
    assert isinstance(await authorise(gateway, payment, "test_card_flaky"), Approved)


async def test_a_void_may_succeed_only_at_the_fourth_try(gateway: PaymentGateway, payment: UUID) -> None:
    await authorise(gateway, payment, "test_card_void_fails")
    for _ in range(3):
        with pytest.raises(GatewayUnavailable):
            await void(gateway, payment)
    assert isinstance(await void(gateway, payment), Approved)


async def test_a_void_may_never_succeed(gateway: PaymentGateway, payment: UUID) -> None:
    await authorise(gateway, payment, "test_card_void_never")
    for _ in range(5):
        with pytest.raises(GatewayUnavailable):
            await void(gateway, payment)


async def test_a_look_up_by_key_finds_the_answer_that_the_provider_gave(gateway: PaymentGateway, payment: UUID) -> None:
    assert await gateway.look_up(f"{payment}:authorise") is None
    approved = await authorise(gateway, payment)
    refused = await refund(gateway, payment)
    assert await gateway.look_up(f"{payment}:authorise") == approved
    assert await gateway.look_up(f"{payment}:refund") == refused


@pytest.fixture(params=["memory", "http"])
async def hasty(request: pytest.FixtureRequest) -> AsyncIterator[PaymentGateway]:
    """A gateway that does not wait long."""
    if request.param == "memory":
        yield MemoryPaymentGateway()
        return
    sandbox: SandboxProcess = request.getfixturevalue("sandbox")
    async with HttpPaymentGateway(sandbox.url, timeout=SHORT) as over_http:
        yield over_http


async def test_a_charge_whose_answer_was_lost_is_unknown_until_it_is_looked_up(
    hasty: PaymentGateway, payment: UUID
) -> None:
    with pytest.raises(GatewayTimeout):
        await authorise(hasty, payment, "test_card_timeout")
    found = await hasty.look_up(f"{payment}:authorise")
    assert isinstance(found, Approved)
    assert await authorise(hasty, payment, "test_card_timeout") == found
    assert isinstance(await capture(hasty, payment), Approved)


# --- what only a network can do -----------------------------------------------------------------------------
async def test_a_provider_that_does_not_run_is_unavailable(payment: UUID) -> None:
    async with HttpPaymentGateway(f"http://127.0.0.1:{free_port()}") as gateway:
        with pytest.raises(GatewayUnavailable, match="cannot be reached"):
            await authorise(gateway, payment)
        with pytest.raises(GatewayUnavailable, match="cannot be asked"):
            await gateway.look_up("any")


async def test_the_gateway_reaches_a_provider_that_was_killed_and_started_again_between_two_calls(
    tmp_path: Path, payment: UUID
) -> None:
    with SandboxProcess(tmp_path) as own:
        async with HttpPaymentGateway(own.url) as gateway:
            first = await authorise(gateway, payment)
            own.kill()
            with pytest.raises((GatewayUnavailable, GatewayTimeout)):
                await authorise(gateway, payment)
            own.start()
            assert await authorise(gateway, payment) == first


async def test_a_call_that_finds_no_free_connection_is_reported_as_not_tried(payment: UUID) -> None:
    stop = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stop.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with HttpPaymentGateway(f"http://127.0.0.1:{port}", timeout=30.0) as gateway:
            waiting = [asyncio.create_task(authorise(gateway, uuid4())) for _ in range(CONNECTIONS)]
            await asyncio.sleep(0)  # they all have their connection
            with pytest.raises(GatewayNotTried, match="too many calls"):
                await authorise(gateway, payment)
            waiting[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting[0]
            freed = asyncio.create_task(authorise(gateway, payment))
            await asyncio.wait([freed], timeout=2 * LONGEST_WAIT)
            assert not freed.done(), "it has the connection that the cancelled call gave back"
            stop.set()
            outcomes = await asyncio.gather(freed, *waiting[1:], return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {GatewayTimeout}


async def test_calls_beyond_the_number_of_connections_take_turns(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LONGEST_WAIT", 60.0)  # on a busy machine a turn takes longer than a second
    async with HttpPaymentGateway(sandbox.url, timeout=60.0) as gateway:
        answers = await asyncio.gather(*(authorise(gateway, uuid4()) for _ in range(2 * CONNECTIONS)))
    assert all(isinstance(answer, Approved) for answer in answers)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ("Retry-After: 7", 7.0),
        ("Date: Fri, 27 Nov 2026 10:00:00 GMT\r\nRetry-After: Fri, 27 Nov 2026 10:01:30 GMT", 90.0),
        ("Date: Fri, 27 Nov 2026 10:00:00 GMT\r\nRetry-After: Fri, 27 Nov 2026 09:00:00 GMT", 0.0),
        ("Retry-After: Fri, 27 Nov 2026 10:01:30 GMT", None),  # without a date there is no telling how long that is
        ("Date: Fri, 27 Nov 2026 10:00:00 GMT\r\nRetry-After: soon", None),
        ("X-Nothing: 1", None),
    ],
)
async def test_the_gateway_reads_a_retry_after_in_seconds_or_a_date(
    payment: UUID, headers: str, seconds: float | None
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 503 Away\r\n{headers}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with HttpPaymentGateway(f"http://127.0.0.1:{port}") as gateway:
            with pytest.raises(GatewayUnavailable) as away:
                await authorise(gateway, payment)
    assert away.value.retry_after == seconds
