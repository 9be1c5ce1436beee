"""Webhooks: addresses that get events by signed messages, the messages that wait for them, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

import msgspec

from core.codec import StoredEvent

READER, SHARE = "notifier", 0
"""The reader of the log that makes the deliveries. Its dead letters are those of `notifier.<id of the webhook>`."""

MOST_WEBHOOKS = 100
MOST_WAITING = (
    10_000  # deliveries of one webhook that wait; with more, its events wait in the log until there are fewer
)
MOST_LISTED = 200  # deliveries that are listed at once
KEPT = timedelta(days=3)
"""For how long a delivery that has ended is listed. A dead letter stays until an operator ends it."""
TRIES_AFTER = (5, 5 * 60, 30 * 60, *(hours * 3_600 for hours in (2, 5, 10, 14, 20, 24)))
"""Seconds after the first, second … failure of a delivery until it is tried again, as Standard Webhooks advises."""
LONGEST_PAUSE = 24 * 3_600  # seconds that a receiver may ask to be left alone for
GONE = "its receiver wants no more messages"  # why a webhook is disabled that nobody here has disabled
TEST = "webhook.test"  # the type of the message that an operator sends to see whether a webhook works

DeliveryState = Literal["waiting", "delivered", "failed", "skipped"]


def reader_of(webhook_id: str) -> str:
    """The name under which what a webhook did not take is among the dead letters."""
    return f"{READER}.{webhook_id}"


class WebhookTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Where a webhook leads, and which types of events it gets; without any, all of them."""

    url: str
    description: str = ""
    event_types: tuple[str, ...] = ()


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to become other terms of a webhook; None: that stays as it is."""

    url: str | None = None
    description: str | None = None
    event_types: tuple[str, ...] | None = None


class Webhook(WebhookTerms, frozen=True, kw_only=True):
    """A webhook without its secret.

    `waiting`: deliveries that wait for their first or next try. `failed`: those that were given up, as dead letters.
    `behind`: events of the log for which it has no deliveries yet. `next_try_at`: when the first of those that wait is
    due, if any is; not in the future: as soon as there is room. `secrets`: 2 while its secret is replaced.
    """

    id: str
    enabled: bool
    disabled_why: str
    created_at: datetime
    created_by: str
    position: int
    behind: int
    waiting: int
    failed: int
    secrets: int
    delivered_at: datetime | None
    next_try_at: datetime | None
    last_error: str


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message for one webhook. `message_id` is what its receiver gets as webhook-id, the same at each try.

    `position` is that of its event; None: it is a test. `status` is that of the last answer, if there was one.
    """

    id: UUID
    webhook_id: str
    message_id: UUID
    message_type: str
    position: int | None
    state: DeliveryState
    tries: int
    created_at: datetime
    tried_at: datetime | None
    due_at: datetime | None
    status: int | None
    error: str


class Webhooks(Protocol):
    """For operators. The methods raise Unavailable and DatabaseFault."""

    async def all(self) -> Sequence[Webhook]:
        """Every webhook, the oldest first."""
        ...

    async def one(self, id_: str) -> Webhook | None: ...

    async def add(self, id_: str, terms: WebhookTerms, secret: bytes, *, by: str) -> bool:
        """Keep a webhook, which gets what is recorded from now on.

        False: another one has its address, or there are too many.
        """
        ...

    async def change(self, id_: str, change: WebhookChange) -> bool:
        """Its secret and its position stay. What waits goes to its address, at once if that is another one now.

        What waits of types that it gets no more is forgotten; dead letters stay. False: another one has the address.
        """
        ...

    async def replace_secret(self, id_: str, secret: bytes, *, overlap: timedelta) -> None:
        """Sign with this secret too from now on; those before it end after the overlap."""
        ...

    async def enable(self, id_: str) -> None:
        """What was recorded while it was disabled is not sent; what waited then goes on."""
        ...

    async def disable(self, id_: str, why: str) -> None: ...

    async def remove(self, id_: str) -> None:
        """Forget a webhook with all its deliveries and dead letters."""
        ...

    async def replay(self, id_: str, after: int) -> None:
        """Make deliveries again for the events after this position, with the ids that their messages had."""
        ...

    async def send(self, id_: str, message_id: UUID, message_type: str, data: Mapping[str, Any]) -> UUID:
        """Make a delivery of a message that is about no event. Returns its id."""
        ...

    async def delivery(self, id_: UUID) -> WebhookDelivery | None: ...

    async def deliveries(
        self, webhook_id: str, *, state: DeliveryState | None = None, limit: int = MOST_LISTED
    ) -> Sequence[WebhookDelivery]:
        """The deliveries of a webhook, the newest first."""
        ...


class DueCall(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is to be sent now: its event, or else its data. It was tried `tries` times before."""

    delivery_id: UUID
    webhook_id: str
    url: str
    secrets: tuple[bytes, ...]
    message_id: UUID
    message_type: str
    tries: int
    created_at: datetime
    event: StoredEvent | None
    data: str | None


class Planned(NamedTuple):
    """How many deliveries were made, whether there are more to make at once, and how many webhooks are enabled."""

    made: int
    more: bool
    webhooks: int


class WebhooksSeen(NamedTuple):
    """Which webhooks there are, how many of them their receivers have ended, and how many deliveries are due.

    Of each webhook at most 1 000 of those are counted. The oldest has been due for `seconds`.
    """

    webhooks: frozenset[str]
    ended: int
    due: int
    seconds: float


class CallResult(NamedTuple):
    """What became of a call. `again`: after so many seconds it is tried again; None: it has ended as `state` says.

    `gone`: the receiver wants no more messages, so its webhook is disabled.
    """

    call: DueCall
    state: DeliveryState
    status: int | None
    error: str = ""
    again: float = 0.0
    gone: bool = False


class WebhookCalls(Protocol):
    """For the notifier that leads. The methods raise Unavailable and DatabaseFault."""

    async def plan(self, epoch: int) -> Planned:
        """Make the deliveries of the next events, and save with them how far that has come.

        Raises ShareLost when somebody else leads.
        """
        ...

    async def plan_again(self) -> int:
        """Have what an operator wants tried again wait anew, and end what is skipped. Returns how many there were."""
        ...

    async def due(self, room: Mapping[str, int], most: int, under_way: Sequence[UUID]) -> Sequence[DueCall]:
        """What is due, of each webhook the oldest: at most `most`, or as many as `room` says of it."""
        ...

    async def save(self, results: Sequence[CallResult]) -> None:
        """Save what became of calls; a result that somebody else has saved meanwhile is left as it is."""
        ...

    async def sweep(self) -> None:
        """Delete secrets whose time is over, and deliveries that ended long ago."""
        ...

    async def look(self) -> WebhooksSeen:
        """How the webhooks stand, for whoever watches them."""
        ...
