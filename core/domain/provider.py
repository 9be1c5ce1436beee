"""What a payment provider answers: three final answers, the same for ever for one idempotency key."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Approved:
    """`reference` is the authorisation code, transaction id, void id or refund id."""

    reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The holder's bank said no."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider never will: not in this state, or not such a request."""

    reason: str


PaymentAnswer = Approved | Declined | Refused


@dataclass(frozen=True, slots=True)
class Charge:
    """One payment as the provider's own ledger has it; `state` in the provider's words."""

    order_id: str
    state: str
    authorised: Decimal
    captured: Decimal
    refunded: Decimal
