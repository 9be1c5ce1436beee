"""`orderdeck demo`: places five real orders over HTTP that come to five different ends, and prints all their events."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from core.printable import clean_lines
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.settle_order import SETTLE_ORDER
from core.sagas.unwind_order import UNWIND_ORDER
from core.settings import Settings
from daemons.cli.demo.customer import DemoCustomer, DemoFailed
from daemons.cli.demo.transport import BoundedTransport
from daemons.cli.output import say
from daemons.cli.services import actor
from daemons.host.bounded_http import BROKEN
from daemons.host.status import must_answer


@dataclass(frozen=True)
class Scene:
    title: str
    play: Callable[[DemoCustomer], object]


def run(settings: Settings) -> int:
    return play(settings, SCENES)


def play(settings: Settings, scenes: Sequence[Scene]) -> int:
    """Play all scenes; return the exit code, 0 when each order came to the expected end, else 1."""
    must_answer(settings.commands_at, "ORDERDECK_COMMAND_URL")
    must_answer(settings.queries_at, "ORDERDECK_QUERY_URL")
    ends: list[str] = []
    signed, show = {"Orderdeck-Actor": actor()}, settings.shows
    with (
        httpx.Client(base_url=settings.commands_at, headers=signed, transport=BoundedTransport(show)) as commands,
        httpx.Client(base_url=settings.queries_at, transport=BoundedTransport(show)) as queries,
    ):
        for number, scene in enumerate(scenes, 1):
            say(f"\n{number}. {scene.title}")
            began = time.monotonic()
            customer = DemoCustomer(commands, queries)
            try:
                scene.play(customer)
            except (DemoFailed, httpx.HTTPError, *BROKEN) as error:
                sys.stderr.write(clean_lines(f"demo: {scene.title}: {type(error).__name__}: {error}"[:2_000]) + "\n")
                return 1
            took = time.monotonic() - began
            ends += [f"{order.number}  {order.status():<10} {took:5.2f} s  {scene.title}" for order in customer.orders]
    say("\n" + "\n".join(ends))
    return 0


def _completed(customer: DemoCustomer) -> None:
    order = customer.place("LAPTOP-001", price="1299.00")
    order.follow(FULFIL_ORDER.name, "SagaCompleted")
    order.command("ship", tracking_number="1Z-DEMO", carrier="UPS")
    order.follow(SETTLE_ORDER.name, "SagaCompleted")
    order.command("deliver")
    order.follow("order", "OrderDelivered")
    order.expect("DELIVERED", "PaymentCaptured", "InventoryShipped")


def _declined(customer: DemoCustomer) -> None:
    order = customer.place("SKU-001", method="test_card_fail")
    order.follow(FULFIL_ORDER.name, "SagaCompensated")
    order.expect("CANCELLED", "PaymentFailed", "InventoryReleased")


def _out_of_stock(customer: DemoCustomer) -> None:
    order = customer.place("SKU-050", lines=200, quantity=1_000_000, price="0.01")
    order.follow(FULFIL_ORDER.name, "SagaCompensated")
    order.expect("CANCELLED", "InventoryReservationFailed")


def _flaky(customer: DemoCustomer) -> None:
    order = customer.place("SKU-002", quantity=2, method="test_card_flaky")
    order.follow(FULFIL_ORDER.name, "SagaCompleted")
    order.expect("CONFIRMED", "PaymentAuthorized")


def _cancelled(customer: DemoCustomer) -> None:
    order = customer.place("SKU-003", quantity=3)
    order.follow(FULFIL_ORDER.name, "SagaCompleted")
    order.command("cancel", reason="changed my mind")
    order.follow(UNWIND_ORDER.name, "SagaCompleted")
    order.expect("CANCELLED", "PaymentVoided", "InventoryReleased")


SCENES = (
    Scene("an order that completes", _completed),
    Scene("a declined card", _declined),
    Scene("out of stock", _out_of_stock),
    Scene("a flaky payment provider", _flaky),
    Scene("cancelled by hand after its confirmation", _cancelled),
)
