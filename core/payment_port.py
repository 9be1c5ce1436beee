"""The payment provider as the sagas need it: every call carries its own idempotency key, so it may be repeated.

Three kinds of outcome, never mixed: an answer (Approved, Declined, Refused: final, the same for ever for that key) ·
GatewayUnavailable: it did not happen as far as anyone can tell, try again later with the same key ·
GatewayTimeout: nobody knows whether it happened; look the charge up by its key before deciding anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from core.errors import OrderdeckError


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


@dataclass
class GatewayUnavailable(OrderdeckError):
    """`retry_after` in seconds, when the provider named it."""

    reason: str
    retry_after: float | None = None

    def __str__(self) -> str:
        return self.reason


@dataclass
class GatewayTimeout(OrderdeckError):
    reason: str

    def __str__(self) -> str:
        return self.reason


class PaymentGateway(Protocol):
    """Every method but look_up raises GatewayUnavailable and GatewayTimeout; look_up raises GatewayUnavailable only."""

    async def authorise(  # the request's fields
        self, key: str, *, payment_id: UUID, order_id: UUID, amount: Decimal, currency: str, method: str
    ) -> PaymentAnswer:
        """Hold an amount. The only one that can be Declined."""
        ...

    async def capture(self, key: str, *, payment_id: UUID, amount: Decimal) -> PaymentAnswer:
        """Take what was authorised."""
        ...

    async def void(self, key: str, *, payment_id: UUID, reason: str) -> PaymentAnswer:
        """Release what was authorised; when it never was, it never will be: a later authorise is Refused."""
        ...

    async def refund(self, key: str, *, payment_id: UUID, amount: Decimal, reason: str) -> PaymentAnswer:
        """Give back what was captured."""
        ...

    async def look_up(self, key: str) -> PaymentAnswer | None:
        """What was decided for a key; None when nothing was, so far."""
        ...
