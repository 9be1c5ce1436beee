"""Sends one webhook message, and says what its receiver made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Answered(NamedTuple):
    """What the receiver answered: its status, or None if there is none; and in words why it has not taken the message.

    `gone`: it wants no more messages. `wait`: for how many seconds it wants to be left alone, if it said so.
    """

    status: int | None
    taken: bool = False
    why_not: str = ""
    gone: bool = False
    wait: float = 0.0


class WebhookSender(Protocol):
    async def send(self, webhook_id: str, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Send a message, within a time limit. It raises nothing for what a receiver or the network may do."""
        ...

    async def keep(self, webhook_ids: set[str]) -> None:
        """Close the connections to all other webhooks."""
        ...
