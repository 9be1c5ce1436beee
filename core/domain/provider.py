"""What a payment provider answers. An answer is final: for one idempotency key it is always the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Approved:
    """The provider did it. `reference` is the authorisation code, transaction id, void id or refund id.

    `expires_at`: when an authorisation ends; None if the provider did not say, and for other operations.
    """

    reference: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """The customer's bank said no."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will never do it: the charge is in the wrong state, or the request is not valid."""

    reason: str


PaymentAnswer = Approved | Declined | Refused


@dataclass(frozen=True, slots=True)
class Charge:
    """One payment as the provider's own ledger shows it. `state` is a word of the provider."""

    order_id: str
    state: str
    authorised: Decimal
    captured: Decimal
    refunded: Decimal
