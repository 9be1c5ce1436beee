"""`orderdeck demo --faults`: switches each fault of the payment sandbox on, and places orders to see how they end."""

from __future__ import annotations

import time
from functools import partial

from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.settle_order import SETTLE_ORDER
from core.settings import Settings
from daemons.cli.demo.customer import LIMIT, PAUSE, DemoCustomer, DemoFailed, follow
from daemons.cli.demo.provider import Provider, borrowed
from daemons.cli.demo.scenes import Scene, play
from daemons.cli.output import say

CROWD = 6  # orders; five orders that fail in a row open the circuit breaker


def run(settings: Settings) -> int:
    """Play all scenes; afterwards the sandbox has the faults switched on that it had before, also after an error."""
    with borrowed(settings.payments_at, settings.shows_provider) as provider:
        scenes = (
            Scene("every answer of the provider takes most of a second", partial(_slow, provider)),
            Scene("every second request is answered 503", partial(_failing, provider)),
            Scene("it charges, and none of its answers arrives", partial(_unheard, provider)),
            Scene("it is away", partial(_away, provider)),
        )
        return play(settings, scenes)


def _slow(provider: Provider, customer: DemoCustomer) -> None:
    provider.switch(latency_ms=800)
    order = customer.place("SKU-004")
    order.follow(FULFIL_ORDER.name, "SagaCompleted")
    order.expect("CONFIRMED", "PaymentAuthorized")
    provider.has_charged_once([order], "AUTHORISED")


def _failing(provider: Provider, customer: DemoCustomer) -> None:
    provider.switch(error_rate=0.5, seed=88)  # with this seed the first two requests fail
    order = customer.place("SKU-005", quantity=2)
    order.follow(FULFIL_ORDER.name, "SagaCompleted")
    order.expect("CONFIRMED", "PaymentAuthorized")
    provider.has_charged_once([order], "AUTHORISED")


def _unheard(provider: Provider, customer: DemoCustomer) -> None:
    provider.switch(drop_rate=1.0)
    order = customer.place("SKU-006", price="99.90")
    order.follow(FULFIL_ORDER.name, "SagaCompleted")
    order.command("ship", tracking_number="1Z-DEMO", carrier="UPS")
    order.follow(SETTLE_ORDER.name, "SagaCompleted")
    order.expect("SHIPPED", "PaymentAuthorized", "PaymentCaptured")
    provider.has_charged_once([order], "CAPTURED")


def _away(provider: Provider, customer: DemoCustomer) -> None:
    provider.switch(outage=True)
    orders = [customer.place(f"SKU-{number:03}") for number in range(10, 10 + CROWD)]
    follow(orders, FULFIL_ORDER.name, "SagaStepStarted")
    deadline = time.monotonic() + LIMIT
    while not all("is not being called" in order.waits_for() for order in orders):
        if time.monotonic() > deadline:
            raise DemoFailed(f"not all of {CROWD} orders wait for the provider within {LIMIT:.0f} s")
        time.sleep(PAUSE)
    follow(orders, FULFIL_ORDER.name, "SagaStepStarted")  # prints the failed tries that came meanwhile
    say(f"   all {CROWD} orders wait: {orders[-1].waits_for()}")
    provider.switch()
    follow(orders, FULFIL_ORDER.name, "SagaCompleted")
    for order in orders:
        order.expect("CONFIRMED", "PaymentAuthorized")
    provider.has_charged_once(orders, "AUTHORISED")
