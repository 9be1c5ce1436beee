"""Commands on the wire: their bodies, and their answers, where `render` words the first and the repeated alike."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from litestar.types import ASGIApp

from core import codec
from core.codec import Envelope, envelope_of
from core.domain.message import Sku
from core.domain.order import Address, Item
from core.ports.log import Answer, Result
from core.services.execute import Outcome
from daemons.http.problems import RequestRefused
from daemons.http.reply import Reply


# --- bodies: unknown fields are ignored, a misspelt required one is named -----------------------------------
class ItemBody(msgspec.Struct, frozen=True, kw_only=True):
    product_id: str
    sku: str
    quantity: int
    unit_price: Decimal

    def item(self) -> Item:
        return Item(product_id=self.product_id, sku=Sku(self.sku), quantity=self.quantity, unit_price=self.unit_price)


class CreateOrderBody(msgspec.Struct, frozen=True, kw_only=True):
    customer_id: str
    items: tuple[ItemBody, ...]
    shipping_address: Address
    payment_method: str = "card"
    currency: str = "USD"


class CancelBody(msgspec.Struct, frozen=True, kw_only=True):
    reason: str


class ShipBody(msgspec.Struct, frozen=True, kw_only=True):
    tracking_number: str
    carrier: str


class ReceiptBody(msgspec.Struct, frozen=True, kw_only=True):
    quantity: int
    product_id: str | None = None
    name: str | None = None


class ReasonBody(msgspec.Struct, frozen=True, kw_only=True):
    reason: str


# --- answers ------------------------------------------------------------------------------------------------
class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where the order stands after the command. `position` is its last event's place in the log."""

    order_id: str
    status: str
    version: int
    position: int
    order_number: str | None = None
    tracking_number: str | None = None


class ReceiptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is available of the SKU after the receipt."""

    sku: str
    available: int
    version: int
    position: int


class SagaAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where the saga stands after the operation; `step` is the one that is next, empty when it has ended."""

    saga_id: str
    status: str
    step: str
    version: int
    position: int


class DryRunAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The events the command would record now. Nothing was recorded: their ids, and positions (0), mean nothing."""

    dry_run: bool
    events: list[Envelope]


STATUSES = {Result.CREATED: 201, Result.DONE: 200, Result.REJECTED: 400}
"""The HTTP status of each result; the one place that turns one into the other."""


def render(outcome: Outcome) -> ASGIApp:
    """The answer over HTTP; raises RequestRefused for a rejected command."""
    if outcome.preview is not None:
        events = [envelope_of(event) for event in outcome.preview]
        return Reply(200, codec.json(DryRunAnswer(dry_run=True, events=events)), {})
    headers = {"Idempotent-Replayed": "true"} if outcome.replayed else {}
    answer = outcome.answer
    status = STATUSES[answer.result]
    if answer.result is Result.REJECTED:
        raise RequestRefused(status, answer.fields["code"], answer.fields["detail"], headers=headers)
    if answer.result is Result.CREATED and "order_id" in answer.fields:
        headers["Location"] = f"/api/v1/orders/{answer.fields['order_id']}"
    headers["ETag"] = f'"{answer.version}"'
    return Reply(status, _body(answer), headers)


FIELDS = ("saga_id", "order_id", "order_number", "sku", "status", "step", "available", "tracking_number")
"""The fields of every answer, in this order; a kept answer comes back from the database in another one."""


def _body(answer: Answer) -> bytes:
    fields = {name: answer.fields[name] for name in FIELDS if name in answer.fields}
    return codec.json({**fields, "version": answer.version, "position": answer.position})
