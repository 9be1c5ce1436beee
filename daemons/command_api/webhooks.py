"""The commands on webhooks: an admin adds and changes one, replaces its secret, stops, starts, tests it, sends again.

They take no Idempotency-Key, since an answer with a secret would have to be kept, and no dry run. To repeat one does no
harm: an address has one webhook.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from litestar import post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ASGIApp
from msgspec import Meta
from msgspec.structs import asdict

from core import codec
from core.bootstrap import App
from core.ports.webhooks import Webhook, WebhookChange, WebhookDelivery, WebhookTerms
from core.public_addresses import Network
from core.sagas.wishes import checked_reason
from core.services.api_keys import span_of
from core.services.webhooks import (
    OVERLAP,
    SecretShownOnce,
    add_webhook,
    change_webhook,
    disable_webhook,
    enable_webhook,
    remove_webhook,
    replay_events,
    rotate_secret,
    send_test,
)
from daemons.command_api.shapes import ReasonBody
from daemons.command_api.terms import AnyRequest, CommandRequest, NoBody
from daemons.http.bodies import T
from daemons.http.openapi import answers, reading
from daemons.http.reply import Reply
from daemons.process.audited import note_of

PATH = "/api/v1/admin/webhooks"
NOBODY = "somebody without a name"
REFUSALS = (404, 413, 415, 503)
NO_STORE = {"Cache-Control": "no-store"}


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """Without `event_types` it gets every event that is recorded from now on."""

    url: Annotated[str, Meta(max_length=2000, description="As in https://shop.example.com/orders.")]
    description: Annotated[str, Meta(max_length=200)] = ""
    event_types: Annotated[list[Annotated[str, Meta(max_length=60)]], Meta(max_length=100)] = []


class ChangeWebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """What is left out stays as it is. `event_types`: all that it gets from now on; with `[]` it gets every event."""

    url: Annotated[str, Meta(max_length=2000, description="As in https://shop.example.com/orders.")] | None = None
    description: Annotated[str, Meta(max_length=200)] | None = None
    event_types: Annotated[list[Annotated[str, Meta(max_length=60)]], Meta(max_length=100)] | None = None


class RotateSecretBody(msgspec.Struct, frozen=True, kw_only=True):
    """For the time of `overlap`, messages are signed with the old secret too."""

    overlap: Annotated[str, Meta(max_length=40, description="Such as 24h or 90m.")] = OVERLAP


class ReplayBody(msgspec.Struct, frozen=True, kw_only=True):
    """`after`: a position of the log; 0 is before the first event."""

    after: Annotated[int, Meta(ge=0, le=2**62)]


class WebhookSecretMade(Webhook, frozen=True, kw_only=True):
    """`secret` is shown only now. Its receiver checks the signatures with it."""

    secret: str


@post(
    PATH, status_code=201, operation_class=reading(WebhookBody), responses=answers({201: WebhookSecretMade}, *REFUSALS)
)
async def make_webhook(request: AnyRequest, state: State) -> ASGIApp:
    """Have events sent to an address, as messages signed by Standard Webhooks 1.0."""
    body, by = await _read(request, WebhookBody)
    terms = WebhookTerms(url=body.url, description=body.description, event_types=tuple(body.event_types))
    made = await add_webhook(state["webhooks"], terms, _networks(state), by=by)
    if (note := note_of(request.scope)) is not None:
        note.target = made.webhook.id
    return _made(made)


@post(
    f"{PATH}/{{id:str}}/change",
    status_code=200,
    operation_class=reading(ChangeWebhookBody),
    responses=answers(Webhook, *REFUSALS),
)
async def alter_webhook(request: AnyRequest, state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """Have it lead elsewhere, or get other types of events from `position` on. Its secret and its position stay.

    What waits is sent to the new address, at once. What waits of types that it gets no more is forgotten; its dead
    letters stay.
    """
    body, _ = await _read(request, ChangeWebhookBody)
    types = None if body.event_types is None else tuple(body.event_types)
    change = WebhookChange(url=body.url, description=body.description, event_types=types)
    changed = await change_webhook(state["webhooks"], id, change, _networks(state))
    if (note := note_of(request.scope)) is not None:
        note.detail = _in_words(change)
    return _answer(changed)


@post(
    f"{PATH}/{{id:str}}/rotate",
    status_code=201,
    operation_class=reading(RotateSecretBody),
    responses=answers({201: WebhookSecretMade}, *REFUSALS),
)
async def replace_secret(request: AnyRequest, state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """Make a new secret, and sign with the old one too for a while."""
    body, _ = await _read(request, RotateSecretBody)
    return _made(await rotate_secret(state["webhooks"], id, overlap=span_of("overlap", body.overlap)))


@post(
    f"{PATH}/{{id:str}}/disable",
    status_code=200,
    operation_class=reading(ReasonBody),
    responses=answers(Webhook, *REFUSALS),
)
async def stop_webhook(request: AnyRequest, state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """Send nothing to it until it is enabled. What waits then goes on."""
    body, by = await _read(request, ReasonBody)
    why = f"{by}: {checked_reason(body.reason)}"
    return _answer(await disable_webhook(state["webhooks"], id, why=why))


@post(f"{PATH}/{{id:str}}/enable", status_code=200, responses=answers(Webhook, *REFUSALS))
async def start_webhook(request: AnyRequest, state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """Send what is recorded from now on, and what waited. What was recorded meanwhile is sent by a replay only."""
    await _read(request, NoBody)
    return _answer(await enable_webhook(state["webhooks"], id))


@post(f"{PATH}/{{id:str}}/remove", status_code=200, responses=answers(Webhook, *REFUSALS))
async def end_webhook(request: AnyRequest, state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """Forget it, with its secret, all that waits for it, and its dead letters. Answers what it was."""
    await _read(request, NoBody)
    return _answer(await remove_webhook(state["webhooks"], id))


@post(f"{PATH}/{{id:str}}/test", status_code=200, responses=answers(WebhookDelivery, *REFUSALS))
async def try_webhook(request: AnyRequest, state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """Send a message of type `webhook.test` once, and answer what came of it within 10 seconds."""
    await _read(request, NoBody)
    return Reply(200, codec.json(await send_test(state["webhooks"], id)), {})


@post(
    f"{PATH}/{{id:str}}/replay",
    status_code=200,
    operation_class=reading(ReplayBody),
    responses=answers(Webhook, *REFUSALS),
)
async def send_again(request: AnyRequest, state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """Send the events after a position again, each under the webhook-id of its first message."""
    body, _ = await _read(request, ReplayBody)
    return _answer(await replay_events(state["webhooks"], id, body.after))


ROUTES = (
    make_webhook,
    alter_webhook,
    replace_secret,
    stop_webhook,
    start_webhook,
    end_webhook,
    try_webhook,
    send_again,
)


async def _read(request: AnyRequest, kind: type[T]) -> tuple[T, str]:
    """The body, and who sends it."""
    sent = CommandRequest(request)
    sent.refuse_dry_run()
    return await sent.body(kind), sent.actor() or NOBODY


def _networks(state: State) -> Sequence[Network]:
    app: App = state["app"]
    return app.settings.allowed_networks


def _in_words(change: WebhookChange) -> str:
    """What has become other, for the audit. Of an address only the machine, since its path may hold a secret."""
    parts: list[str] = []
    if change.url is not None:
        parts.append(f"leads to {urlsplit(change.url).hostname}")
    if change.event_types is not None:
        parts.append(f"gets {', '.join(change.event_types) or 'every event'}")
    if change.description is not None:
        parts.append("is for something else")
    return "; ".join(parts)


def _made(made: SecretShownOnce) -> ASGIApp:
    return Reply(201, codec.json(WebhookSecretMade(**asdict(made.webhook), secret=made.secret)), NO_STORE)


def _answer(webhook: Webhook) -> ASGIApp:
    return Reply(200, codec.json(webhook), {})
