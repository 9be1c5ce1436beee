"""The webhooks, without their secrets, and what became of each message."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter
from litestar.types import ASGIApp
from msgspec import Struct

from core import codec
from core.ports.webhooks import DeliveryState, Webhook, WebhookDelivery, Webhooks
from core.services.webhooks import found
from daemons.http.openapi import answers
from daemons.query_api.response import json_response

Many = Annotated[int, QueryParameter(ge=1, le=200, description="At most so many.")]
InState = Annotated[DeliveryState | None, QueryParameter(name="state", description="Only those in this state.")]


class WebhookList(Struct, kw_only=True):
    """The oldest first."""

    webhooks: list[Webhook]


class DeliveryList(Struct, kw_only=True):
    """The newest first."""

    deliveries: list[WebhookDelivery]


@get("/api/v1/admin/webhooks", responses=answers(WebhookList, 503))
async def list_webhooks(state: State) -> ASGIApp:
    """Every webhook: where it leads, what it gets, and how much waits for it."""
    webhooks: Webhooks = state["webhooks"]
    return json_response(codec.json(WebhookList(webhooks=list(await webhooks.all()))))


@get("/api/v1/admin/webhooks/{id:str}", responses=answers(Webhook, 404, 503))
async def one_webhook(state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """One webhook."""
    webhooks: Webhooks = state["webhooks"]
    return json_response(codec.json(await found(webhooks, id)))


@get("/api/v1/admin/webhooks/{id:str}/deliveries", responses=answers(DeliveryList, 404, 503))
async def deliveries_of(
    state: State,
    id: FromPath[str],  # noqa: A002 - the path's name
    delivery_state: InState = None,
    limit: Many = 100,
) -> ASGIApp:
    """The messages of one webhook. Those that ended are listed for three days."""
    webhooks: Webhooks = state["webhooks"]
    webhook = await found(webhooks, id)
    made = await webhooks.deliveries(webhook.id, state=delivery_state, limit=limit)
    return json_response(codec.json(DeliveryList(deliveries=list(made))))


ROUTES = (list_webhooks, one_webhook, deliveries_of)
