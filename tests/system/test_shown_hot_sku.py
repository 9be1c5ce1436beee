"""One SKU that everybody wants: exactly as many orders are confirmed as there are units, and its stock stays sound."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from uuid import uuid4

import pytest

from tests.support.command_api import ITEM, ORDER
from tests.support.customers import open_customers, run_at_once
from tests.support.ends import end_of
from tests.support.stack import Stack

log = logging.getLogger(__name__)  # `--log-cli-level=INFO` shows the figures

ORDERS, UNITS = (2000, 1500) if os.environ.get("LONG_TESTS") == "1" else (200, 150)
CHANGE = {"StockReplenished": 1, "InventoryReserved": -1, "InventoryReleased": 1}  # of what is available


@pytest.mark.timeout(300)
async def test_64_customers_order_more_of_one_sku_than_there_is_and_exactly_that_much_is_sold(stack: Stack) -> None:
    sku = f"HOT-{uuid4().hex[:8]}"
    async with open_customers(stack) as customers:
        await customers.receive(sku, UNITS)
        order = {**ORDER, "items": [{**ITEM, "sku": sku, "unit_price": "10.01"}]}
        began = time.monotonic()
        orders = await run_at_once(64, [customers.place(order) for _ in range(ORDERS)])
        placed = time.monotonic()
        stories = await customers.events_at_end_of(orders, within=120)
        ended = time.monotonic()
        log.info("%d orders of %d units: placed in %.1f s, all ended %.1f s later", ORDERS, UNITS,
                 placed - began, ended - placed)  # fmt: skip

        charges = await customers.charges()
        ends = Counter(end_of(story, charges.get(order_id)) for order_id, story in stories.items())
        assert ends == {"CONFIRMED": UNITS, "CANCELLED": ORDERS - UNITS}
        for story in stories.values():
            kinds = [event["event_type"] for event in story if event["aggregate_type"] != "saga"]
            assert kinds[-1] == "OrderConfirmed" or kinds == [
                "OrderCreated", "InventoryReservationFailed", "OrderCancelled",
            ]  # fmt: skip
        await customers.wait_for_stock(sku, on_hand=UNITS, reserved=UNITS, available=0)

        stream = [event for event in await customers.log() if event["payload"].get("sku") == sku]
        assert [event["version"] for event in stream] == list(range(1, 1 + 1 + ORDERS))
        available = 0
        for event in stream:
            if event["event_type"] in CHANGE:
                available += CHANGE[event["event_type"]] * event["payload"]["quantity"]
                assert available >= 0, event
            else:
                assert (event["event_type"], event["payload"]["available"]) == ("InventoryReservationFailed", 0)
                assert available == 0, event
