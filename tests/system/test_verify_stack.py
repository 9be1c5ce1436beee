"""`orderdeck verify` on a whole stack: at work, stopped, and after somebody changed the ledger."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.command_api import ITEM, ORDER
from tests.support.customers import Customers, open_customers
from tests.support.stack import Stack

ORDERS = 24
METHODS = ("card", "card", "card", "test_card_fail")


async def run_verify(stack: Stack) -> tuple[int, dict[str, Any]]:
    done = await asyncio.to_thread(stack.orderdeck, "verify", "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


async def place_and_command(customers: Customers, number: int) -> None:
    """Place an order, and cancel or ship some of them."""
    item = {**ITEM, "sku": f"SKU-{number % 3 + 1:03}"}
    order = await customers.place({**ORDER, "items": [item], "payment_method": METHODS[number % len(METHODS)]})
    if number % 3 == 0:
        await customers.put(order, "cancel", {"reason": "changed my mind"})
    elif number % 3 == 1:
        await customers.event_types_at_end(order)
        await customers.put(order, "ship", {"tracking_number": "1Z", "carrier": "UPS"})


async def test_verify_finds_nothing_wrong_with_a_working_stack_and_finds_a_tampered_ledger(short_folder: Path) -> None:
    with Stack(short_folder / "home") as stack:
        none = stack.orderdeck("verify")
        assert (none.returncode, "there is no log" in none.stderr) == (1, True)
        stack.up()
        async with open_customers(stack) as customers:
            orders = [asyncio.create_task(place_and_command(customers, number)) for number in range(ORDERS)]
            while not all(task.done() for task in orders):
                code, report = await run_verify(stack)
                assert (code, report["violations"]) == (0, [])
            await asyncio.gather(*orders)
            for task in asyncio.as_completed(
                [
                    customers.event_types_at_end(event["aggregate_id"])
                    for event in await customers.log()
                    if event["event_type"] == "OrderCreated"
                ]
            ):
                await task
        code, report = await run_verify(stack)
        assert (code, report["orders"], report["unfinished"], report["ledger"]) == (0, ORDERS, 0, "http")

        stack.orderdeck("down")
        code, report = await run_verify(stack)
        assert (code, report["violations"], report["orders"], report["ledger"]) == (0, [], ORDERS, "file")
        assert stack.processes() == []

        with closing(sqlite3.connect(stack.home.ledger)) as ledger, ledger:
            ledger.execute("UPDATE charges SET state = 'AUTHORISED' WHERE state = 'VOIDED' OR state = 'DECLINED'")
        code, report = await run_verify(stack)
        assert code == 1
        assert {finding["invariant"] for finding in report["violations"]} == {"I4"}
        tampered = stack.orderdeck("verify")
        assert tampered.returncode == 1
        assert "WRONG  I4  stream" in tampered.stdout
        assert "things are wrong" in tampered.stdout
