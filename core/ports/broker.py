"""The broker: where the relay sends the events of the log."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from core.codec import StoredEvent


class Sending(Protocol):
    """A connection to the broker, which is no longer of use after any error."""

    empty: Collection[str]
    """The categories of which the broker never had an event, or has forgotten that it had any."""

    async def prepare(self, events: Sequence[StoredEvent]) -> Any:
        """Make of some events, the next ones of the log, what `send` takes."""
        ...

    async def send(self, prepared: Any) -> None:
        """Return when the broker has kept all of these events, those of a stream in order.

        Raises Unavailable and BrokerRefused; then it has kept some of them, and of a stream only the first ones.
        """
        ...

    async def close(self) -> None:
        """End it within some seconds, whatever state the broker is in. What is under way may still be kept."""
        ...


class Broker(Protocol):
    async def open(self) -> Sending:
        """Connect, and make sure that events can be kept. Raises Unavailable and BrokerRefused."""
        ...

    async def register_schemas(self) -> int:
        """Have the broker's schema registry know every schema. Returns how many it did not know; without one, 0.

        Raises Unavailable and BrokerRefused.
        """
        ...
