"""Adds and changes webhooks for operators, sends tests, and has events sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from core.codec import EVENTS, event_type
from core.errors import FieldError, InvalidInput, NotAllowed, NotFound
from core.ports.webhooks import MOST_WEBHOOKS, TEST, Webhook, WebhookChange, WebhookDelivery, Webhooks, WebhookTerms
from core.printable import clean
from core.public_addresses import Network
from core.services.webhook_urls import wrong_url
from core.webhook_secrets import make_secret, make_webhook_id, secret_text

LONGEST_DESCRIPTION = 200
LONGEST_OVERLAP = timedelta(days=30)
OVERLAP = "24h"
"""For how long messages are signed with the old secret too, unless the operator says otherwise."""
WITHIN = 10.0  # seconds that an answer waits for what comes of a test
LOOK_EVERY = 0.1  # seconds
TYPES = frozenset(event_type(kind) for kind in EVENTS)


@dataclass(frozen=True)
class SecretShownOnce:
    """A webhook with its new secret, which nobody is shown later."""

    webhook: Webhook
    secret: str


async def add_webhook(
    webhooks: Webhooks, terms: WebhookTerms, networks: Sequence[Network], *, by: str
) -> SecretShownOnce:
    """Keep a webhook, which gets what is recorded from now on. Raises InvalidInput and NotAllowed.

    `networks` are those that it may lead to besides the open internet.
    """
    wrong = what_is_wrong(terms, networks)
    if wrong:
        raise InvalidInput(wrong)
    id_, secret = make_webhook_id(), make_secret()
    if not await webhooks.add(id_, terms, secret, by=by):
        other = await _leads_to(webhooks, terms.url)
        raise NotAllowed(
            f"{other} leads there already: rotate its secret if it is lost" if other
            else f"there are {MOST_WEBHOOKS} webhooks, and that is the most: remove one first"
        )  # fmt: skip
    return SecretShownOnce(await found(webhooks, id_), secret_text(secret))


async def change_webhook(webhooks: Webhooks, id_: str, change: WebhookChange, networks: Sequence[Network]) -> Webhook:
    """Have it lead elsewhere, be for something else, or get other types of events; its secret and position stay.

    What waits goes to the address that it has then. What waits of types that it gets no more is forgotten. Raises
    InvalidInput and NotAllowed.
    """
    await found(webhooks, id_)
    wrong = what_is_wrong(change, networks)
    if wrong:
        raise InvalidInput(wrong)
    if not await webhooks.change(id_, change):
        other = await _leads_to(webhooks, change.url)
        raise NotAllowed(f"{other or 'another webhook'} leads there already")
    return await found(webhooks, id_)


async def rotate_secret(webhooks: Webhooks, id_: str, *, overlap: timedelta) -> SecretShownOnce:
    """Make a new secret. For the time of the overlap, messages are signed with the old one too."""
    await found(webhooks, id_)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidInput([FieldError("overlap", "must be a time from 0 to 30 days")])
    secret = make_secret()
    await webhooks.replace_secret(id_, secret, overlap=overlap)
    return SecretShownOnce(await found(webhooks, id_), secret_text(secret))


async def enable_webhook(webhooks: Webhooks, id_: str) -> Webhook:
    """What was recorded while it was disabled is not sent; `replay_events` has it sent."""
    await found(webhooks, id_)
    await webhooks.enable(id_)
    return await found(webhooks, id_)


async def disable_webhook(webhooks: Webhooks, id_: str, *, why: str) -> Webhook:
    """Nothing is sent to it any more; what waits goes on when it is enabled."""
    await found(webhooks, id_)
    await webhooks.disable(id_, why)
    return await found(webhooks, id_)


async def remove_webhook(webhooks: Webhooks, id_: str) -> Webhook:
    """Forget a webhook with all that waits for it. Returns what it was."""
    removed = await found(webhooks, id_)
    await webhooks.remove(id_)
    return removed


async def replay_events(webhooks: Webhooks, id_: str, after: int) -> Webhook:
    """Have the events after a position sent again, each under the id of its first message."""
    webhook = await found(webhooks, id_)
    head = webhook.position + webhook.behind
    if not 0 <= after <= head:
        raise InvalidInput([FieldError("after", f"must be a position of the log, from 0 to {head}")])
    await webhooks.replay(id_, after)
    return await found(webhooks, id_)


async def send_test(webhooks: Webhooks, id_: str) -> WebhookDelivery:
    """Send a message that is about no event, once, also while it is disabled, and wait for what comes of it."""
    webhook = await found(webhooks, id_)
    message_id = uuid4()
    data: dict[str, Any] = {"webhook": webhook.id, "description": webhook.description}
    delivery_id = await webhooks.send(webhook.id, message_id, TEST, data)
    until = asyncio.get_running_loop().time() + WITHIN
    while True:
        delivery = await webhooks.delivery(delivery_id)
        if delivery is None:
            raise NotFound("webhook", id_)
        if delivery.state != "waiting" or asyncio.get_running_loop().time() > until:
            return delivery
        await asyncio.sleep(LOOK_EVERY)


async def found(webhooks: Webhooks, id_: str) -> Webhook:
    webhook = await webhooks.one(id_)
    if webhook is None:
        raise NotFound("webhook", clean(id_, 60))
    return webhook


async def _leads_to(webhooks: Webhooks, url: str | None) -> str | None:
    """The id of the webhook that leads there."""
    return next((each.id for each in await webhooks.all() if each.url == url), None)


def what_is_wrong(terms: WebhookTerms | WebhookChange, networks: Sequence[Network]) -> list[FieldError]:
    description, types, url = terms.description or "", terms.event_types or (), terms.url
    sentence = wrong_url(url, networks) if url is not None else None
    wrong = [FieldError("url", sentence)] if sentence is not None else []
    if len(description) > LONGEST_DESCRIPTION or clean(description) != description:
        wrong.append(FieldError("description", f"must be one line of at most {LONGEST_DESCRIPTION} characters"))
    for number, name in enumerate(types):
        if name not in TYPES:
            wrong.append(FieldError(f"event_types[{number}]", "must be a type of event, such as OrderShipped"))
    if len(set(types)) < len(types):
        wrong.append(FieldError("event_types", "must name each type once"))
    return wrong
