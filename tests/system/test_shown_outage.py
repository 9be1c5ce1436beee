"""PostgreSQL is stopped under load: callers get 503, no daemon ends, and no accepted order is lost."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from tests.support.command_api import ITEM, ORDER
from tests.support.customers import Customers, check_log, eventually, open_customers
from tests.support.stack import Stack

log = logging.getLogger(__name__)  # `--log-cli-level=INFO` shows the figures

AWAY = 10.0 if os.environ.get("LONG_TESTS") == "1" else 3.0  # seconds


@dataclass
class Load:
    """Customers who place one order after the other, and repeat each with its key until it is accepted."""

    customers: Customers
    acknowledged: dict[str, str] = field(default_factory=dict)  # by customer: the order
    wrong: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep_placing(self) -> None:
        while not self.stop.is_set():
            await self._place_one(f"customer-{uuid4()}")

    async def _place_one(self, name: str) -> None:
        order = {**ORDER, "customer_id": name, "items": [{**ITEM, "sku": "SKU-001"}]}
        while True:
            answer = await self._post(order, name)
            if answer.status_code == 201:
                self.acknowledged[name] = answer.json()["order_id"]
                return
            await asyncio.sleep(0.2)  # a real customer would wait the second that Retry-After names

    async def _post(self, order: dict[str, Any], key: str) -> httpx.Response:
        answer = await self.customers.commands.post("/api/v1/orders", json=order, headers={"Idempotency-Key": key})
        if answer.status_code == 503:
            self.refused[answer.json()["code"]] += 1
            if not answer.headers.get("retry-after", "").isdigit():
                self.wrong.append(f"503 without Retry-After: {answer.text}")
        elif answer.status_code != 201:
            self.wrong.append(f"{answer.status_code}: {answer.text}")
        return answer


async def test_without_its_database_orderdeck_answers_503_and_then_goes_on_by_itself(stack: Stack) -> None:
    before = {program["name"]: program["pid"] for program in stack.status()["programs"]}
    async with open_customers(stack) as customers:
        load = Load(customers)
        async with asyncio.TaskGroup() as group:
            for _ in range(16):
                group.create_task(load.keep_placing())
            await wait_for_orders(load, 50)
            stopped = await ctl(stack, "stop")
            assert "stopped" in stopped, stopped
            began = time.monotonic()
            await eventually(lambda: true_or_none(sum(load.refused.values()) > 50), AWAY + 10)
            during = (await asyncio.to_thread(stack.orderdeck, "ctl", "status")).stdout
            states = {line.split()[0]: line.split()[1] for line in during.splitlines()}
            ready = await asyncio.gather(*(client.get("/ready") for client in (customers.commands, customers.queries)))
            await asyncio.sleep(max(0.0, AWAY - (time.monotonic() - began)))
            acknowledged = len(load.acknowledged)
            await ctl(stack, "start")
            started = time.monotonic()
            await wait_for_orders(load, acknowledged + 50)
            log.info("50 more %.1f s after its start, sent away: %s", time.monotonic() - started, dict(load.refused))
            load.stop.set()

        assert load.wrong == []
        assert states.pop("postgres") == "STOPPED"
        assert set(states.values()) == {"RUNNING"}
        assert [answer.status_code for answer in ready] == [503, 503]
        assert all(answer.json()["reason"] for answer in ready)

        for order_id in load.acknowledged.values():
            kinds = await customers.event_types_at_end(order_id, within=60)
            assert "OrderConfirmed" in kinds
        log_events = await customers.log()
        check_log(log_events)
        created = [event["payload"] for event in log_events if event["event_type"] == "OrderCreated"]
        ours = [(each["customer_id"], each["order_id"]) for each in created if each["customer_id"] in load.acknowledged]
        assert sorted(ours) == sorted(load.acknowledged.items()), "each once, under the id that was answered"
        charges = await customers.charges()
        assert {charges[order_id]["state"] for order_id in load.acknowledged.values()} == {"AUTHORISED"}
        await eventually(lambda: read_models_have(customers, len(log_events)), 20)

    after = {program["name"]: program["pid"] for program in stack.status()["programs"]}
    assert {name for name in after if after[name] != before[name]} == {"postgres"}
    await eventually(lambda: true_or_none(stack.status()["ready"]), 10)  # a reader with nothing to do looks each 2 s


async def ctl(stack: Stack, verb: str) -> str:
    return (await asyncio.to_thread(stack.orderdeck, "ctl", verb, "postgres")).stdout


async def true_or_none(condition: object) -> bool | None:
    return True if condition else None


async def wait_for_orders(load: Load, orders: int) -> None:
    await eventually(lambda: true_or_none(len(load.acknowledged) >= orders or load.wrong), 40)


async def read_models_have(customers: Customers, head: int) -> bool | None:
    projections = (await customers.queries.get("/api/v1/projections")).raise_for_status().json()["projections"]
    return await true_or_none(all(each["position"] >= head for each in projections))
