"""Webhooks: the addresses that get events, the messages of one of them, and which of those wait as dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from msgspec import Struct

from tui.gateway import Gateway, GatewayError, ServiceRefused
from tui.viewmodels.not_let_in import refused_as
from tui.wire import Count, Moment

PATH = "/api/v1/admin/webhooks"
LETTERS = "/api/v1/admin/dead-letters"
MOST_WEBHOOKS = 100
MOST_DELIVERIES = 200
STATES = ("waiting", "delivered", "failed", "skipped")
_GONE = 404


class WireWebhook(Struct, frozen=True):
    """A webhook. `behind`: events for which it has no messages yet; `failed`: messages that are dead letters."""

    id: str
    url: str
    created_at: Moment
    description: str = ""
    event_types: tuple[str, ...] = ()
    enabled: bool = True
    disabled_why: str = ""
    created_by: str = ""
    position: Count = 0
    behind: Count = 0
    waiting: Count = 0
    failed: Count = 0
    secrets: Count = 1
    delivered_at: Moment | None = None
    next_try_at: Moment | None = None
    last_error: str = ""

    @property
    def reader(self) -> str:
        """Under which its dead letters are listed."""
        return f"notifier.{self.id}"


class WireDelivery(Struct, frozen=True):
    """A message for a webhook; `position` is that of its event, and None for a test."""

    id: str
    message_id: str
    message_type: str
    state: str
    created_at: Moment
    position: Count | None = None
    tries: Count = 0
    tried_at: Moment | None = None
    due_at: Moment | None = None
    status: Count | None = None
    error: str = ""


class WebhookAnswer(Struct):
    webhooks: list[WireWebhook]


class DeliveryAnswer(Struct):
    deliveries: list[WireDelivery]


class _DeadMessage(Struct):
    id: str
    row: str


class _DeadMessages(Struct):
    dead_letters: list[_DeadMessage]


class WebhooksModel:
    """`webhooks` is None until they were read. What was known stays while nobody answers."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.webhooks: Sequence[WireWebhook] | None = None
        self.error = ""
        self.refused = 0

    async def read(self) -> None:
        try:
            answer = await self.gateway.read(PATH, WebhookAnswer)
        except GatewayError as error:
            self.error, self.refused = str(error), refused_as(error)
            self.webhooks = None if self.refused else self.webhooks
            return
        self.webhooks, self.error, self.refused = answer.webhooks[:MOST_WEBHOOKS], "", 0


class WebhookModel:
    """One webhook with its newest messages, all or those in `state`. `is_gone`: it was removed."""

    def __init__(self, gateway: Gateway, webhook_id: str) -> None:
        self.gateway = gateway
        self.webhook_id = webhook_id
        self.webhook: WireWebhook | None = None
        self.deliveries: Sequence[WireDelivery] = ()
        self.letters: Mapping[str, str] = {}  # the id of the dead letter by the id of the message that is one
        self.state = ""
        self.error = ""
        self.refused = 0
        self.is_gone = False

    async def read(self) -> None:
        path, state = f"{PATH}/{quote(self.webhook_id, safe='')}", self.state
        wanted = {"limit": str(MOST_DELIVERIES)} | ({"state": state} if state else {})
        asked = {"reader": f"notifier.{self.webhook_id}", "sort": "-position", "limit": str(MOST_DELIVERIES)}
        try:
            webhook, made, letters = await asyncio.gather(
                self.gateway.read(path, WireWebhook),
                self.gateway.read(f"{path}/deliveries", DeliveryAnswer, wanted),
                self.gateway.read(LETTERS, _DeadMessages, asked),
            )
        except GatewayError as error:
            self.error, self.refused = str(error), refused_as(error)
            self.is_gone = isinstance(error, ServiceRefused) and error.status == _GONE
            if self.refused or self.is_gone:
                self.webhook, self.deliveries, self.letters = None, (), {}
            return
        if state != self.state:
            return  # another state was chosen meanwhile, and is read by itself
        self.webhook, self.deliveries = webhook, made.deliveries[:MOST_DELIVERIES]
        self.letters = {each.row: each.id for each in letters.dead_letters}
        self.error, self.refused, self.is_gone = "", 0, False
