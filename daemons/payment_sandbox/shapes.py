"""Checks the bodies of requests to the sandbox and makes charge requests of them; writes the answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.types import ASGIApp
from msgspec import Meta

from core.domain.money import FINEST, code_of, exact, wrong_amount, wrong_in_every_currency
from core.domain.validation import Fields
from core.errors import FieldError
from daemons.http.problems import RequestRefused, wrong_fields
from daemons.http.reply import Reply
from daemons.payment_sandbox.charges import Authorise, Capture, ChargeAnswer, ChargeOutcome, ChargeRequest, Refund, Void

KEY = re.compile(r"[A-Za-z0-9_.:\-]{1,255}")
CURRENCY = re.compile(r"[A-Za-z]{3}")
METHOD = re.compile(r"[a-z0-9_]{1,40}")
LONGEST_TEXT = 500
CENT = Decimal("0.01")

# These types put the limits into the OpenAPI document; `checked` enforces them.
Words = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": LONGEST_TEXT})]
Currency = Annotated[str, Meta(extra_json_schema={"pattern": f"^{CURRENCY.pattern}$"})]
Method = Annotated[str, Meta(extra_json_schema={"pattern": f"^{METHOD.pattern}$"})]

ENCODER = msgspec.json.Encoder(decimal_format="number")


# --- requests: fields that are unknown are ignored, amounts may be numbers or strings ------------------------
class AuthoriseBody(msgspec.Struct, frozen=True, kw_only=True):
    order_id: Words
    amount: Decimal
    currency: Currency
    payment_method: Method

    def checked(self, payment_id: UUID) -> ChargeRequest:
        fields, currency = Fields(), code_of(self.currency)
        fields.text("order_id", self.order_id, LONGEST_TEXT)
        fields.check("amount", wrong_amount(self.amount, currency))
        fields.matches("currency", self.currency, CURRENCY, "three letters")
        fields.matches("payment_method", self.payment_method, METHOD, "1 to 40 of a-z, 0-9 and _")
        fields.done()
        return Authorise(
            payment_id=payment_id,
            order_id=self.order_id,
            amount=exact(self.amount, currency),
            currency=currency,
            payment_method=self.payment_method,
        )


class CaptureBody(msgspec.Struct, frozen=True, kw_only=True):
    amount: Decimal

    def checked(self, payment_id: UUID) -> ChargeRequest:
        fields = Fields()
        fields.check("amount", wrong_in_every_currency(self.amount))
        fields.done()
        return Capture(payment_id=payment_id, amount=_as_ever(self.amount))


class VoidBody(msgspec.Struct, frozen=True, kw_only=True):
    reason: Words

    def checked(self, payment_id: UUID) -> ChargeRequest:
        fields = Fields()
        fields.text("reason", self.reason, LONGEST_TEXT)
        fields.done()
        return Void(payment_id=payment_id, reason=self.reason)


class RefundBody(msgspec.Struct, frozen=True, kw_only=True):
    amount: Decimal
    reason: Words

    def checked(self, payment_id: UUID) -> ChargeRequest:
        fields = Fields()
        fields.check("amount", wrong_in_every_currency(self.amount))
        fields.text("reason", self.reason, LONGEST_TEXT)
        fields.done()
        return Refund(payment_id=payment_id, amount=_as_ever(self.amount), reason=self.reason)


Body = AuthoriseBody | CaptureBody | VoidBody | RefundBody


def _as_ever(amount: Decimal) -> Decimal:
    """The amount with two decimals, or with more if it needs them: the ledger's fingerprints are made of this text."""
    return amount.quantize(CENT) if amount == amount.quantize(CENT) else amount.quantize(FINEST)


def read_key(header: str | None) -> str:
    """The idempotency key in this header, where it may stand in quotes; raises RequestRefused when it is malformed."""
    if header is None:
        raise wrong_fields(FieldError("Idempotency-Key", "is required"))
    key = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
    if not KEY.fullmatch(key):
        raise wrong_fields(FieldError("Idempotency-Key", "must be 1 to 255 of letters, digits and _ . : -"))
    return key


# --- answers ------------------------------------------------------------------------------------------------
NO: Mapping[ChargeOutcome, tuple[int, str]] = {
    ChargeOutcome.DECLINED: (402, "declined"),
    ChargeOutcome.REFUSED: (409, "refused"),
    ChargeOutcome.UNAVAILABLE: (503, "unavailable"),
}


def respond(answer: ChargeAnswer, *, replayed: bool) -> ASGIApp:
    """What sends an answer of the ledger, the same bytes for a repeated one; raises RequestRefused for a no."""
    headers = {"Idempotent-Replayed": "true"} if replayed else {}
    if answer.outcome is ChargeOutcome.APPROVED:
        return ok(answer, headers)
    status, code = NO[answer.outcome]
    if status == 503:
        headers["Retry-After"] = "1"
    raise RequestRefused(status, code, answer.reason, headers=headers)


def ok(answer: msgspec.Struct, headers: Mapping[str, str] | None = None) -> ASGIApp:
    return Reply(200, ENCODER.encode(answer), headers or {})
