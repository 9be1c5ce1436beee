"""Payments: the provider that authorises, captures, voids and refunds."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol
from uuid import UUID

from core.domain.provider import PaymentAnswer


class PaymentGateway(Protocol):
    """Every call carries its own idempotency key, so it may be repeated. An answer is final, for ever, for its key.

    Every method but look_up raises GatewayUnavailable and GatewayTimeout; look_up raises GatewayUnavailable only.
    """

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
