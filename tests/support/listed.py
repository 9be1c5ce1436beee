"""A list of orders over the fake gateway, whose clock a test moves."""

from __future__ import annotations

from typing import Any

from core.filters.order_language import parse
from tests.support.fake_desk import START, event_json
from tests.support.fake_gateway import FakeGateway
from tui.viewmodels.orders import OrdersModel
from tui.viewmodels.ring import RingFrame


class Stepped:
    """A clock that moves only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def listed(gateway: FakeGateway, height: int = 10, text: str = "") -> OrdersModel:
    model = OrdersModel(gateway, Stepped())
    model.view.resize(height)
    await model.search(parse(text, START))
    return model


def absorb(model: OrdersModel, gateway: FakeGateway, after: int) -> None:
    model.absorb(map(frame_of, gateway.log[after:]))


def frame_of(event: dict[str, Any]) -> RingFrame:
    return RingFrame(event["position"], event["event_type"], event_json(event))


async def settled(model: OrdersModel) -> None:
    """The server was asked everything that was open, whatever the time."""
    while model.phase == "ready":
        model.clock.now += 10  # type: ignore[attr-defined] - a Stepped
        if not model.wants_answers:
            return
        await model.catch_up()


def shown(model: OrdersModel) -> list[str]:
    return [order.order_number for order in model.window]
