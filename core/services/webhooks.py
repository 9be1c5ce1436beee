"""Adds and changes webhooks for operators, sends tests, and has events sent again."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from core.codec import EVENTS, event_type
from core.errors import FieldError, InvalidInput, NotAllowed, NotFound
from core.ports.webhooks import MOST_WEBHOOKS, TEST, Webhook, WebhookChange, WebhookDelivery, Webhooks, WebhookTerms
from core.printable import clean
from core.public_addresses import Network, is_allowed, is_public, known_addresses
from core.webhook_secrets import make_secret, make_webhook_id, secret_text

LONGEST_URL = 2_000
LONGEST_DESCRIPTION = 200
LONGEST_OVERLAP = timedelta(days=30)
OVERLAP = "24h"
"""For how long messages are signed with the old secret too, unless the operator says otherwise."""
WITHIN = 10.0  # seconds that an answer waits for what comes of a test
LOOK_EVERY = 0.1  # seconds
LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
NEVER_RESOLVED = frozenset({"invalid", "onion"})  # RFC 6761 section 6.4, RFC 7686
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
    sentence = (_wrong_url(url) or _nowhere(url, networks)) if url is not None else None
    wrong = [FieldError("url", sentence)] if sentence is not None else []
    if len(description) > LONGEST_DESCRIPTION or clean(description) != description:
        wrong.append(FieldError("description", f"must be one line of at most {LONGEST_DESCRIPTION} characters"))
    for number, name in enumerate(types):
        if name not in TYPES:
            wrong.append(FieldError(f"event_types[{number}]", "must be a type of event, such as OrderShipped"))
    if len(set(types)) < len(types):
        wrong.append(FieldError("event_types", "must name each type once"))
    return wrong


def _nowhere(url: str, networks: Sequence[Network]) -> str | None:
    """Why nothing could ever be sent there, as far as that can be told without looking a name up.

    Where a name leads is looked at each time before somebody is called.
    """
    parts = urlsplit(url)
    known = known_addresses(parts.hostname or "")
    if any(is_allowed(address, networks) for address in known):
        return None
    if known and not is_public(known[0]):
        return f"{parts.hostname} is not of the open internet, nor of a network in ORDERDECK_WEBHOOK_NETWORKS"
    if parts.scheme == "http" and (known or not networks):
        return "must begin with https://: without TLS, only networks of ORDERDECK_WEBHOOK_NETWORKS are reached"
    return None


def _wrong_url(url: str) -> str | None:
    """What is wrong with the form of an address."""
    if len(url) > LONGEST_URL:
        return f"must have at most {LONGEST_URL} characters"
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        return "must be an address in ASCII, with %-escapes and xn-- for anything else"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no address: write https://shop.example.com/orders"
    if "[" in parts.netloc and ":" not in (
        parts.hostname or ""
    ):  # RFC 3986 keeps [v1.…] for what is to come after IPv6
        return "is no address: write https://shop.example.com/orders"
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "must begin with https:// and the name of a machine"
    if "@" in parts.netloc:
        return "must have no user or password: messages are signed"
    if parts.fragment or url.endswith("#"):
        return "must have no fragment (#)"
    if port == 0:
        return "must have a port from 1 to 65535"
    return _wrong_host(parts.hostname)


def _wrong_host(host: str) -> str | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return None
    name = host.removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        return "must have a host name, or an IP address"
    if labels[-1] in NEVER_RESOLVED or (NUMBER.fullmatch(labels[-1]) and not known_addresses(name)):
        return f"must have a host name that can be found: none ends in .{labels[-1]}"
    return None
