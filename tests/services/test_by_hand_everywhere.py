"""An order that a person commands at any append of its running saga comes to one of the allowed ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from core.domain.message import OrderId, payment_of
from core.domain.order import ConfirmOrder, OrderCommand
from core.errors import FulfilmentNotFinished, NotAllowed
from core.ports.log import Append, EventStore, Verdict
from core.services import ship as shipping
from core.services.sagas import advance
from tests.support.order_desk import Desk, now
from tests.support.saga_cases import available, cancellation, shipment

ENOUGH = 30  # appends: more than any fulfilment makes
ALLOWED = {  # the order, how its fulfilment ended, what the provider holds, and what is left and held of ten
    ("CONFIRMED", "SagaCompleted", "authorised", (8, 2)),
    ("SHIPPED", "SagaCompleted", "captured", (8, 0)),
    ("CANCELLED", "SagaCompensated", "nothing", (10, 0)),
    ("CANCELLED", "SagaCompleted", "nothing", (10, 0)),
}


class Halting:
    """A store that stops just before, or after, its n-th append after `arm`, until `go_on` is set."""

    def __init__(self, store: EventStore, *, before: bool) -> None:
        self._store = store
        self._before = before
        self.arm(0)

    def arm(self, n: int) -> None:
        self.left = n
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, append: Append) -> Verdict:
        self.left -= 1
        here = self.left == 0
        if here and self._before:
            await self._halt()
        verdict = await self._store.append(append)
        if here and not self._before:
            await self._halt()
        return verdict

    async def _halt(self) -> None:
        self.reached.set()
        await self.go_on.wait()


def confirmation(order_id: OrderId) -> ConfirmOrder:
    return ConfirmOrder(now=now(), order_id=order_id)


async def command_by_hand(desk: Desk, command: OrderCommand) -> bool:
    """Give the command, and return whether it was accepted."""
    try:
        await desk.do(command)
    except (NotAllowed, FulfilmentNotFinished):
        return False
    return True


async def command_at_the_append(
    desk: Desk, halting: Halting, wish: Callable[[OrderId], OrderCommand], method: str, sku: str
) -> tuple[OrderId, bool] | None:
    """Return the order and whether the command was accepted; None when its fulfilment ended before that append."""
    order = await desk.place(method, **{sku: 2})
    ended, halted = asyncio.ensure_future(desk.ended(order)), asyncio.ensure_future(halting.reached.wait())
    await asyncio.wait([ended, halted], return_when=asyncio.FIRST_COMPLETED)
    if halting.left > 0:
        halted.cancel()
        return None
    await halted
    done = await command_by_hand(desk, wish(order))
    halting.go_on.set()
    await ended
    await wait_for_the_next_saga(desk, order)
    return order, done


async def wait_for_the_next_saga(desk: Desk, order: OrderId) -> None:
    """Wait until the saga that a shipment or a cancellation of the order started has ended."""
    domain = await desk.domain(order)
    if "OrderShipped" in domain:
        assert await desk.ended(order, "settle_order") == "SagaCompleted"
    if "OrderCancelled" in domain and await desk.ended(order) == "SagaCompleted":
        assert await desk.ended(order, "unwind_order") == "SagaCompleted"


async def outcome(desk: Desk, order: OrderId, sku: str) -> tuple[str, str, str, tuple[int, int]]:
    events = await desk.domain(order)
    ends = {"OrderCancelled": "CANCELLED", "OrderShipped": "SHIPPED", "OrderConfirmed": "CONFIRMED"}
    status = next((ends[event] for event in ends if event in events), "CREATED")
    charge = desk.gateway._charges.get(payment_of(order))
    provider = charge.state if charge and charge.state in {"authorised", "captured"} else "nothing"
    return status, await desk.ended(order), provider, await available(desk, sku)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("wish", [confirmation, cancellation, shipment])
@pytest.mark.parametrize("method", ["card", "test_card_fail", "test_card_flaky"])
async def test_an_order_commanded_by_hand_at_any_append_of_its_fulfilment_comes_to_an_allowed_end(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    wish: Callable[[OrderId], OrderCommand],
    before: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    monkeypatch.setattr(advance, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(advance, "LONGEST_PAUSE", 0.001)
    monkeypatch.setattr(advance, "LONGEST_WANTED", 0.0)
    monkeypatch.setattr(shipping, "WAIT", 0.0)
    ends: list[str] = []
    people, halting = desk.store, Halting(desk.store, before=before)
    desk.store = halting  # type: ignore[assignment] # the runner's
    async with desk.running():
        desk.store = people
        for n in range(1, ENOUGH):
            await desk.stock(**{f"S{n}": 10})
            halting.arm(n)
            found = await command_at_the_append(desk, halting, wish, method, f"S{n}")
            if found is None:
                break
            order, done = found
            status, end, *rest = await outcome(desk, order, f"S{n}")
            assert (status, end, *rest) in ALLOWED, f"at append {n}"
            if wish is cancellation:
                assert (status == "CANCELLED") or not done, f"at append {n}"
            if wish is shipment:
                assert (status == "SHIPPED") == done, f"at append {n}"
            if method == "test_card_fail":
                assert status == "CANCELLED", f"at append {n}"
            ends.append(end)
    assert len(ends) >= 2, "so many appends a fulfilment has at least"
