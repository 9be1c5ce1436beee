"""A payment is refused after an earlier try lost its answer: that try may have charged, so the payment is voided."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.adapters.memory.payments import MemoryPaymentGateway
from core.domain.message import payment_of
from core.domain.provider import PaymentAnswer, Refused
from core.errors import GatewayTimeout, GatewayUnavailable
from tests.support.order_desk import Desk


class Forgetful(MemoryPaymentGateway):
    """Charges and loses the answer, cannot be looked up, and refuses the next try as a proxy would."""

    tries = 0

    async def authorise(self, key: str, **request: Any) -> PaymentAnswer:
        self.tries += 1
        if self.tries > 1:
            return Refused("you may not do that")
        await super().authorise(key, **request)
        raise GatewayTimeout("no answer from the payment provider")

    async def look_up(self, key: str) -> PaymentAnswer | None:
        raise GatewayUnavailable(f"the payment provider cannot be asked about {key}")

    def state(self, payment_id: UUID) -> str:
        return self._charges[payment_id].state


async def test_a_charge_whose_answer_was_lost_is_voided_when_a_later_try_is_refused(desk: Desk) -> None:
    desk.gateway = gateway = Forgetful()
    await desk.stock(A=1)
    async with desk.running():
        order_id = await desk.place(A=1)
        assert await desk.ended(order_id) == "SagaCompensated"
    assert await desk.domain(order_id) == [
        "OrderCreated",
        "InventoryReserved",
        "PaymentFailed",
        "InventoryReleased",
        "OrderCancelled",
    ]
    assert gateway.state(payment_of(order_id)) == "voided"
