"""`orderdeck backup` while orders come in, and `orderdeck restore` into a new home, where the orders go on."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

from core.adapters.postgres.embedded import binaries
from core.home import OWNER
from tests.support.command_api import ITEM, ORDER
from tests.support.customers import Customers, open_customers
from tests.support.stack import Stack

ORDERS = 30


async def place_until(done: asyncio.Event, customers: Customers) -> list[str]:
    placed: list[str] = []
    while not done.is_set() or len(placed) < ORDERS:
        item = {**ITEM, "sku": f"SKU-{len(placed) % 3 + 1:03}"}
        method = "card" if len(placed) % 4 else "test_card_fail"
        placed.append(await customers.place({**ORDER, "items": [item], "payment_method": method}))
    return placed


def contents_of(backup: Path) -> str:
    program = [binaries() / "pg_restore", "--list", backup / "database.dump"]
    return subprocess.run(program, capture_output=True, text=True, check=True).stdout


def refuse_what_is_no_whole_backup(stack: Stack, folder: Path) -> None:
    """Damage the backup in several ways: each is refused, and the home stays as it was. At the end it is mended."""
    manifest, dump = folder / "manifest.json", folder / "database.dump"
    described, dumped = manifest.read_text(), dump.read_bytes()

    def refused(word: str) -> None:
        said = stack.orderdeck("restore", str(folder))
        assert (said.returncode, word in said.stderr, "Traceback" in said.stderr) == (1, True, False), said.stderr
        assert not (stack.home.postgres / "data").exists()

    dump.write_bytes(dumped[:-1000])
    refused("not as it was written")
    dump.unlink()
    refused("no backup")
    dump.write_bytes(dumped)
    for text in ("", "[]", "\x00"):
        manifest.write_text(text)
        refused("no backup")
    manifest.write_text(json.dumps(json.loads(described) | {"schema": 9_999}))
    refused("restore it with that release")
    manifest.write_text(described)


async def test_a_backup_made_while_orders_come_in_is_a_new_home_in_which_they_go_on(short_folder: Path) -> None:
    folder = short_folder / "backups" / "first"
    with Stack(short_folder / "a") as stack:
        stack.up()
        async with open_customers(stack) as customers:
            done = asyncio.Event()
            orders = asyncio.create_task(place_until(done, customers))
            backup = await asyncio.to_thread(stack.orderdeck, "backup", str(folder))
            done.set()
            assert backup.returncode == 0, backup.stderr
            placed = await orders
            log = await customers.log()
        again = stack.orderdeck("backup", str(folder))
        assert (again.returncode, "exists" in again.stderr) == (1, True)
        over = stack.orderdeck("restore", str(folder))
        assert (over.returncode, "orderdeck down" in over.stderr) == (1, True)
        stack.orderdeck("down")
        over = stack.orderdeck("restore", str(folder))
        assert (over.returncode, "has orders already" in over.stderr) == (1, True)

        closed = stack.orderdeck("backup", str(short_folder / "b" / "closed"), "--no-customer-keys")
        assert closed.returncode == 0, closed.stderr  # also of a home that is down
        keys = f"TABLE DATA public customer_keys {OWNER}"
        assert keys in contents_of(folder)
        assert keys not in contents_of(short_folder / "b" / "closed")

    assert {path.name for path in folder.parent.iterdir()} == {"first"}, "the unfinished folder is gone"
    assert folder.stat().st_mode & 0o077 == 0
    position = json.loads((folder / "manifest.json").read_bytes())["position"]
    assert 0 < position <= len(log)

    with Stack(short_folder / "c") as restored:
        refuse_what_is_no_whole_backup(restored, folder)
        answer = restored.orderdeck("restore", str(folder))
        assert (answer.returncode, answer.stderr) == (0, "")
        assert "nothing is wrong" in answer.stdout
        restored.up()
        async with open_customers(restored) as customers:
            then = await customers.log()
            assert [event["event_id"] for event in then[:position]] == [event["event_id"] for event in log[:position]]
            kept = [event["aggregate_id"] for event in log[:position] if event["event_type"] == "OrderCreated"]
            assert set(kept) <= set(placed)
            for order in kept:
                await customers.event_types_at_end(order)
            await customers.place(ORDER)
        verified = restored.orderdeck("verify")
        assert (verified.returncode, "nothing is wrong" in verified.stdout) == (0, True)
        assert "orderdeck restore" in restored.orderdeck("audit").stdout
