"""The sample catalogue: the stock of a new orderdeck, so that the first order can be fulfilled."""

from __future__ import annotations

from uuid_utils.compat import uuid7

from core.domain.inventory import INVENTORY, ReceiveStock
from core.domain.message import Metadata, Sku, inventory_stream
from core.ports.clock import Clock
from core.ports.log import Accepted, Append, Entry, EventStore, NewEvent

PLENTY = 1_000_000
LAPTOP = Sku("LAPTOP-001")

ADJECTIVES = ("Walnut", "Steel", "Linen", "Copper", "Oak", "Ceramic", "Leather", "Cork", "Slate", "Brass")
NOUNS = ("desk lamp", "notebook stand", "cable tray", "pen holder", "desk mat")

SAMPLES: dict[Sku, str] = {LAPTOP: 'Laptop 14"'} | {
    Sku(f"SKU-{n:03}"): f"{ADJECTIVES[(n - 1) % 10]} {NOUNS[(n - 1) // 10]}" for n in range(1, 51)
}


async def load_catalogue(store: EventStore, clock: Clock) -> bool:
    """Record the receipt of all samples in one append if the log is empty. Returns whether it did."""
    if await store.head():
        return False
    entries: list[Entry] = []
    for sku, name in SAMPLES.items():
        stream = inventory_stream(sku)
        command = ReceiveStock(now=clock.now(), sku=sku, quantity=PLENTY, product_id=sku.lower(), name=name)
        events = INVENTORY.decide(command, INVENTORY.initial)
        metadata = Metadata(correlation_id=stream, user_id="sample-catalogue")
        entries.append(Entry(stream, INVENTORY.category, 0, [NewEvent(uuid7(), event, metadata) for event in events]))
    return isinstance(await store.append(Append(entries)), Accepted)
