from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.deck_harness import Clock, desk_with
from tui import actions
from tui.actions import TRIES, perform
from tui.gateway import Accepted, Command, GatewayError, Refused, TimedOut, Unreachable


@pytest.fixture(autouse=True)
def _hurry() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(actions, "PAUSE", 0)
        yield


def confirm(gateway) -> Command:  # noqa: ANN001
    return Command("confirm", next(iter(gateway.views)))


async def test_a_lost_answer_is_asked_for_again_under_the_same_key_and_recorded_once() -> None:
    gateway = desk_with(1)
    gateway.lose_answers = 1
    at = len(gateway.log)
    receipt = await perform(gateway, confirm(gateway), key="k", clock=Clock())
    assert [key for _, key in gateway.sent] == ["k", "k"]
    assert len(gateway.log) == at + 1
    assert receipt.accepted.replayed
    assert receipt.order is not None
    assert receipt.order.status == "CONFIRMED"


async def test_a_service_that_is_away_is_told_at_once_because_nothing_was_sent() -> None:
    gateway = desk_with(1)
    gateway.commands_down = Unreachable("away")
    with pytest.raises(Unreachable):
        await perform(gateway, confirm(gateway), key="k", clock=Clock())
    assert len(gateway.sent) == 1


@pytest.mark.parametrize(
    ("down", "tries"),
    [(TimedOut("no answer"), TRIES), (Refused(503, "unavailable", "busy"), TRIES), (Refused(409, "conflict", "no"), 1)],
)
async def test_only_what_may_pass_is_tried_again(down: GatewayError, tries: int) -> None:
    gateway = desk_with(1)
    gateway.commands_down = down
    with pytest.raises(type(down)):
        await perform(gateway, confirm(gateway), key="k", clock=Clock())
    assert len(gateway.sent) == tries
    assert {key for _, key in gateway.sent} == {"k"}


async def test_an_accepted_command_that_cannot_be_seen_yet_is_accepted_all_the_same() -> None:
    gateway = desk_with(1)
    gateway.queries_down = Unreachable("away")
    receipt = await perform(gateway, confirm(gateway), key="k", clock=Clock())
    assert isinstance(receipt.accepted, Accepted)
    assert receipt.visible_ms is None
    assert receipt.order is None
