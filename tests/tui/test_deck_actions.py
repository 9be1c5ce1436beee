from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.deck_harness import Clock, desk_with
from tui import receipts
from tui.gateway import CommandAccepted, CommandToSend, GatewayError, ServiceRefused, TimedOut, Unreachable
from tui.receipts import TRIES, perform


@pytest.fixture(autouse=True)
def _hurry() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receipts, "PAUSE", 0)
        yield


def confirm(gateway) -> CommandToSend:  # noqa: ANN001
    return CommandToSend("confirm", next(iter(gateway.views)))


async def test_a_command_whose_answer_was_lost_is_sent_again_under_the_same_key_and_recorded_once() -> None:
    gateway = desk_with(1)
    gateway.lose_answers = 1
    at = len(gateway.log)
    receipt = await perform(gateway, confirm(gateway), key="k", clock=Clock())
    assert [key for _, key in gateway.sent] == ["k", "k"]
    assert len(gateway.log) == at + 1
    assert receipt.accepted.replayed
    assert receipt.order is not None
    assert receipt.order.status == "CONFIRMED"


async def test_a_command_that_could_not_be_sent_fails_at_once() -> None:
    gateway = desk_with(1)
    gateway.commands_down = Unreachable("away")
    with pytest.raises(Unreachable):
        await perform(gateway, confirm(gateway), key="k", clock=Clock())
    assert len(gateway.sent) == 1


@pytest.mark.parametrize(
    ("down", "tries"),
    [
        (TimedOut("no answer"), TRIES),
        (ServiceRefused(503, "unavailable", "busy"), TRIES),
        (ServiceRefused(409, "conflict", "no"), 1),
    ],
)
async def test_a_command_is_sent_again_only_when_the_error_may_go_away(down: GatewayError, tries: int) -> None:
    gateway = desk_with(1)
    gateway.commands_down = down
    with pytest.raises(type(down)):
        await perform(gateway, confirm(gateway), key="k", clock=Clock())
    assert len(gateway.sent) == tries
    assert {key for _, key in gateway.sent} == {"k"}


async def test_a_command_counts_as_accepted_although_the_read_model_does_not_show_it_yet() -> None:
    gateway = desk_with(1)
    gateway.queries_down = Unreachable("away")
    receipt = await perform(gateway, confirm(gateway), key="k", clock=Clock())
    assert isinstance(receipt.accepted, CommandAccepted)
    assert receipt.visible_ms is None
    assert receipt.order is None
