"""Payments: the provider that authorises, captures, voids and refunds."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol
from uuid import UUID

from core.domain.provider import PaymentAnswer


class PaymentGateway(Protocol):
    """Every call has its own idempotency key, so it may be repeated. The answer for a key never changes.

    Every method but look_up raises GatewayUnavailable and GatewayTimeout; look_up raises GatewayUnavailable only.
    """

    async def authorise(  # these are the fields of the request
        self, key: str, *, payment_id: UUID, order_id: UUID, amount: Decimal, currency: str, method: str
    ) -> PaymentAnswer:
        """Hold an amount for us, until the authorisation ends. Only this operation can be Declined.

        A payment whose authorisation has ended, was voided or was declined may be authorised anew, with another key.
        """
        ...

    async def capture(self, key: str, *, payment_id: UUID, amount: Decimal) -> PaymentAnswer:
        """Take the authorised amount. Refused once the authorisation has ended."""
        ...

    async def void(self, key: str, *, payment_id: UUID, reason: str) -> PaymentAnswer:
        """Release the authorised amount. If nothing was authorised, the provider refuses to authorise it later.

        An authorisation that has ended holds nothing, so its void is approved.
        """
        ...

    async def refund(self, key: str, *, payment_id: UUID, amount: Decimal, reason: str) -> PaymentAnswer:
        """Pay the captured amount back."""
        ...

    async def look_up(self, key: str) -> PaymentAnswer | None:
        """The answer that the provider gave for a key; None while it has given none."""
        ...

    def room(self) -> int:
        """How many of the calls that wait should be made now: 0 while the provider is away, 1 as a probe."""
        ...

    def is_away(self) -> bool:
        """Whether the provider did not answer when it was called last, so that calls wait and are not made."""
        ...
