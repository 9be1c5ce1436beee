"""The question before an operator steers a saga: what a dry run would record, a reason, and what is then sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from core.pictures.shapes import WireMoney, WireOpen, WireSaga
from tests.support.deck_harness import Deck, opened
from tests.support.fake_gateway import FakeGateway
from tui.dialogs.steer import RESOLVE, RETRY, STEERINGS, SteerDialog, ask_steer, why_not_steer
from tui.gateway import CommandToSend, ServiceRefused, Unreachable
from tui.wire import WireEvent

SAGA = WireSaga(
    saga_id="s-1",
    name="unwind_order",
    order_id="o-1",
    order_number="ORD-000000000V",
    status="FAILED",
    step="void_payment",
    state="failed",
    attempts=10,
    last_error="the payment provider answered 503",
    open=WireOpen(WireMoney(Decimal("129.00"), "EUR"), (), ("129.00 EUR may be authorised", "2 x A may be held")),
)


class SlowDryRun(FakeGateway):
    """Its dry run is answered when `answer` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()

    async def dry_run(self, command: CommandToSend) -> Sequence[WireEvent]:
        await self.answer.wait()
        return await super().dry_run(command)


def ask(deck: Deck, verb: str = "resolve") -> None:
    ask_steer(deck.app.deck, deck.app.deck.desk, SAGA, STEERINGS[verb])


async def test_a_saga_is_steered_with_a_reason_after_a_dry_run() -> None:
    gateway = FakeGateway()
    gateway.steered["resolve"] = [f"SagaResolved{n}" for n in range(6)]
    async with opened(gateway, (80, 24)) as deck:
        ask(deck)
        await deck.shows("would record SagaResolved0")
        for text in (
            "Resolve unwind_order of ORD-000000000V?",
            "FAILED at void_payment   129.00 EUR open",
            "why: the payment provider answered 503",
            "! 2 x A may be held",
            "… and 2 more",
            "enter resolve",
        ):
            assert text in deck.text(), text
        assert (gateway.dry_runs[0].verb, gateway.dry_runs[0].kind, gateway.sent) == ("resolve", "saga", [])
        await deck.press("enter")
        await deck.shows("a reason is needed")
        await deck.type("voided by phone")
        await deck.press("enter")
        await deck.shows("✔ resolve")
        [(command, _)] = gateway.sent
        assert (command.verb, command.subject_id, command.body) == ("resolve", "s-1", {"reason": "voided by phone"})


async def test_what_the_service_would_refuse_is_not_sent() -> None:
    gateway = FakeGateway()
    gateway.steered["retry"] = ServiceRefused(
        400, "not_allowed", "cannot retry unwind_order: it is [bold]resolved" + ", or so" * 12 + ": the end"
    )
    async with opened(gateway, (80, 24)) as deck:
        ask(deck, "retry")
        await deck.shows("✖ cannot retry unwind_order: it is [bold]resolved")
        assert "so: the end" in deck.text(), "the whole reason can be read"
        await deck.type("once more")
        await deck.press("enter")
        await deck.shows("it would be refused")
        await deck.press("escape")
        await deck.shows("nothing was sent")
        assert gateway.sent == []


async def test_a_reason_that_is_typed_and_sent_before_the_dry_run_has_answered_waits_for_it() -> None:
    gateway = SlowDryRun()
    async with opened(gateway) as deck:
        ask(deck)
        await deck.until(lambda: isinstance(deck.app.screen, SteerDialog))
        for key in [*"by phone", "enter", "enter"]:
            deck.post(key)
        await deck.shows("by phone")
        assert gateway.sent == []
        gateway.answer.set()
        await deck.until(lambda: gateway.sent)
        assert [command.body for command, _ in gateway.sent] == [{"reason": "by phone"}]


async def test_without_an_answer_to_the_dry_run_the_command_can_still_be_sent() -> None:
    gateway = FakeGateway()
    gateway.steered["retry"] = Unreachable("it does not answer")
    async with opened(gateway) as deck:
        ask(deck, "retry")
        await deck.shows("no dry run: it does not answer")
        gateway.steered.clear()
        await deck.type("again")
        await deck.press("enter")
        await deck.until(lambda: gateway.sent)


async def test_why_a_saga_cannot_be_steered() -> None:
    async with opened(FakeGateway()) as deck:
        ended = WireSaga(saga_id="s", name="n", order_id="o", status="RESOLVED")
        told = [
            why_not_steer(deck.desk, *asked)
            for asked in (("retry", SAGA), ("retry", None), ("retry", ended), ("compensate", ended), ("open", None))
        ]
        assert told == [None, "no saga is chosen", "this saga has ended: it is resolved", None, None]
        assert (RETRY.verb, RESOLVE.verb) == ("retry", "resolve")
