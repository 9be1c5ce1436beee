"""The bodies and the answers of commands; `render` writes a first answer and a repeated one in the same way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar.types import ASGIApp
from msgspec import Meta

from core import codec
from core.codec import Envelope, envelope_of
from core.domain.address import LONGEST
from core.domain.inventory import LONGEST_SKU, MAX_RECEIPT
from core.domain.item import MAX_ITEMS, MAX_QUANTITY, Item
from core.domain.message import Sku
from core.domain.money import DECIMALS
from core.domain.order import Address
from core.domain.payment_method import LONGEST_LABEL, METHOD, PaymentMethod
from core.domain.refunds import MAX_RETURNS, Returned
from core.errors import FieldError
from core.ports.log import Answer, Result
from core.sagas.wishes import LONGEST_REASON
from core.services.execute import IGNORED, Outcome
from daemons.command_api.ignored import HEADER, in_a_header
from daemons.http.problems import RequestRefused
from daemons.http.reply import Reply


def _words(longest: int) -> Any:
    """A text that is not blank. This puts the limits into the OpenAPI document; the domain enforces them itself."""
    return Meta(extra_json_schema={"minLength": 1, "maxLength": longest})


def _up_to(longest: int) -> Any:
    return Meta(extra_json_schema={"maxLength": longest})


def _form(pattern: re.Pattern[str]) -> Any:
    return Meta(extra_json_schema={"pattern": f"^{pattern.pattern}$"})


def _from_to(least: int, most: int) -> Any:
    return Meta(extra_json_schema={"minimum": least, "maximum": most})


Reason = Annotated[str, _words(LONGEST_REASON)]
Name = Annotated[str, _words(100)]


# --- bodies: a required field that is missing is named, one that is unknown is reported ----------------------
class ItemBody(msgspec.Struct, frozen=True, kw_only=True):
    product_id: Name
    sku: Annotated[str, _words(LONGEST_SKU)]
    quantity: Annotated[int, _from_to(1, MAX_QUANTITY)]
    unit_price: Decimal

    def item(self) -> Item:
        return Item(product_id=self.product_id, sku=Sku(self.sku), quantity=self.quantity, unit_price=self.unit_price)


class AddressBody(msgspec.Struct, frozen=True, kw_only=True):
    """City, state and zip may be left out where the country has none. `country`: an ISO 3166-1 code, in any case."""

    street: Annotated[str, _words(LONGEST["street"])]
    city: Annotated[str, _up_to(LONGEST["city"])] | None = None
    state: Annotated[str, _up_to(LONGEST["state"])] | None = None
    zip: Annotated[str, _up_to(LONGEST["zip"])] | None = None
    country: Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Za-z]{2}$"})]

    def address(self) -> Address:
        city, state, zip_ = self.city or "", self.state or "", self.zip or ""
        return Address(street=self.street, city=city, state=state, zip=zip_, country=self.country)


class PaymentMethodBody(msgspec.Struct, frozen=True, kw_only=True):
    """`label` is what people call it, such as `Visa ending in 4242`; never a whole card number."""

    type: Annotated[str, _form(METHOD)]
    label: Annotated[str, _up_to(LONGEST_LABEL)] | None = None


CURRENCY = {
    "enum": sorted(DECIMALS),
    "description": "An ISO 4217 code, also in small letters. Amounts may have as many decimals as the currency has.",
}


class CreateOrderBody(msgspec.Struct, frozen=True, kw_only=True):
    customer_id: Name
    items: Annotated[tuple[ItemBody, ...], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_ITEMS})]
    shipping_address: AddressBody
    payment_method: Annotated[str, _form(METHOD)] | PaymentMethodBody = "card"
    currency: Annotated[str, Meta(extra_json_schema=CURRENCY)] = "USD"

    def method(self) -> PaymentMethod:
        given = self.payment_method
        if isinstance(given, str):
            return PaymentMethod(type=given)
        return PaymentMethod(type=given.type, label=given.label or "")

    def as_sent(self, error: FieldError) -> FieldError:
        """The error, with the name that the field has in this body: the payment method may be a text or an object."""
        if error.field == "payment_method.type" and isinstance(self.payment_method, str):
            return FieldError("payment_method", error.message)
        return error


class CancelBody(msgspec.Struct, frozen=True, kw_only=True):
    reason: Reason


class ShipBody(msgspec.Struct, frozen=True, kw_only=True):
    tracking_number: Name
    carrier: Name


class ReturnBody(msgspec.Struct, frozen=True, kw_only=True):
    sku: Annotated[str, _words(LONGEST_SKU)]
    quantity: Annotated[int, _from_to(1, MAX_ITEMS * MAX_QUANTITY)]


class RefundOrderBody(msgspec.Struct, frozen=True, kw_only=True):
    """`restock`: the units that came back and are put into stock; true for all that were shipped.

    `currency` may be left out, since it can only be the order's.
    """

    amount: Decimal
    reason: Reason
    currency: Annotated[str, Meta(extra_json_schema=CURRENCY)] | None = None
    restock: bool | Annotated[tuple[ReturnBody, ...], Meta(extra_json_schema={"maxItems": MAX_RETURNS})] = False

    def returned(self) -> tuple[Returned, ...] | None:
        if isinstance(self.restock, bool):
            return None if self.restock else ()
        return tuple(Returned(sku=Sku(each.sku), quantity=each.quantity) for each in self.restock)


class ReceiptBody(msgspec.Struct, frozen=True, kw_only=True):
    quantity: Annotated[int, _from_to(1, MAX_RECEIPT)]
    product_id: Name | None = None
    name: Annotated[str, _words(200)] | None = None


class AdjustmentBody(msgspec.Struct, frozen=True, kw_only=True):
    quantity: Annotated[
        int, Meta(extra_json_schema={"minimum": -MAX_RECEIPT, "maximum": MAX_RECEIPT, "not": {"const": 0}})
    ]
    reason: Reason


class ErasureBody(msgspec.Struct, frozen=True, kw_only=True):
    """`customer_id`: the customer's reference, as orders were placed with it, or the pseudonym in the log."""

    customer_id: Name
    reason: Reason


class ReasonBody(msgspec.Struct, frozen=True, kw_only=True):
    reason: Reason


# --- answers: `warnings` names the fields of the body that were ignored, and is left out when there are none ---
class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where the order stands after the command. `position` is its last event's place in the log."""

    order_id: str
    status: str
    version: int
    position: int
    order_number: str | None = None
    tracking_number: str | None = None
    warnings: list[FieldError] = []


class RefundAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where the order stands after the command. The events of the refund have its `refund_id`."""

    order_id: str
    status: str
    refund_id: str
    version: int
    position: int
    warnings: list[FieldError] = []


class StockAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is available of the SKU after the command."""

    sku: str
    available: int
    version: int
    position: int
    warnings: list[FieldError] = []


class SagaAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where the saga stands after the operation; `step` is the one that is next, empty when it has ended."""

    saga_id: str
    status: str
    step: str
    version: int
    position: int
    warnings: list[FieldError] = []


class ErasureAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is ERASED, or NOTHING_SEALED if there is no key: the customer was erased before, or never had one.

    `customer` is the id by which the log names the customer. `orders_in_the_clear` counts the orders from before
    customers were sealed: they stay readable, and no command erases them.
    """

    customer: UUID | None
    status: Literal["ERASED", "NOTHING_SEALED"]
    orders_in_the_clear: int
    version: int
    position: int
    warnings: list[FieldError] = []


class DryRunAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The events the command would record now. Nothing was recorded: their ids, and positions (0), mean nothing."""

    dry_run: bool
    events: list[Envelope]
    warnings: list[FieldError] = []


STATUSES = {Result.CREATED: 201, Result.DONE: 200, Result.REJECTED: 400}
"""The HTTP status of each result of a command; no other place decides it."""


def render(outcome: Outcome) -> ASGIApp:
    """The answer over HTTP; raises RequestRefused for a rejected command."""
    answer = outcome.answer
    ignored: Sequence[str] = answer.fields.get(IGNORED, ())
    headers = {HEADER: in_a_header(ignored)} if ignored else {}
    warnings = [FieldError(path, "is not known here and was ignored") for path in ignored]
    if outcome.preview is not None:
        events = [envelope_of(event) for event in outcome.preview]
        dry = DryRunAnswer(dry_run=True, events=events, warnings=warnings)
        return Reply(200, codec.json(dry), headers)
    if outcome.replayed:
        headers["Idempotent-Replayed"] = "true"
    status = STATUSES[answer.result]
    if answer.result is Result.REJECTED:
        raise RequestRefused(status, answer.fields["code"], answer.fields["detail"], headers=headers)
    if answer.result is Result.CREATED and "order_id" in answer.fields:
        headers["Location"] = f"/api/v1/orders/{answer.fields['order_id']}"
    headers["ETag"] = f'"{answer.version}"'
    return Reply(status, _body(answer, warnings), headers)


FIELDS = (
    "customer",
    "saga_id",
    "order_id",
    "order_number",
    "sku",
    "status",
    "refund_id",
    "step",
    "available",
    "tracking_number",
    "group",
    "wish",
    "orders_in_the_clear",
)
"""The order of the fields in every answer; the database returns the fields of a kept answer in another order."""


def _body(answer: Answer, warnings: Sequence[FieldError]) -> bytes:
    fields = {name: answer.fields[name] for name in FIELDS if name in answer.fields}
    more = {"warnings": warnings} if warnings else {}
    return codec.json({**fields, "version": answer.version, "position": answer.position, **more})
