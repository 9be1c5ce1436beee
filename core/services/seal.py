"""Seal: what is appended to the log has what bears a customer's name sealed, with the key of that customer."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from core.ports.customer_keys import CustomerKeys
from core.ports.log import Append, Entry, EventStore, NewEvent, Verdict
from core.sealing import sealed_event, to_seal


class SealingStore:
    """An event store that seals before it appends. In everything else it is the real one."""

    def __init__(self, real: EventStore, keys: CustomerKeys) -> None:
        self._real = real
        self._keys = keys

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def append(self, append: Append) -> Verdict:
        """See `EventStore.append`. Also raises Unavailable, with nothing appended, while the keys cannot be read."""
        entries = [await self._sealed(entry) for entry in append.entries]
        return await self._real.append(replace(append, entries=entries))

    async def _sealed(self, entry: Entry) -> Entry:
        if not any(to_seal(new.event) for new in entry.events):
            return entry
        return replace(entry, events=[await self._seal(new) for new in entry.events])

    async def _seal(self, new: NewEvent) -> NewEvent:
        event = to_seal(new.event)
        if event is None:
            return new
        key = await self._keys.key_for(event.customer_id)
        return replace(new, event=sealed_event(event, new.event_id, key))
