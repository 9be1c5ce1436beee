"""The payment provider behind a wire that loses, delays and refuses: its answers are the in-memory provider's own."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

from core.adapters.memory.payments import MemoryPaymentGateway
from core.domain.provider import PaymentAnswer, Refused
from core.errors import GatewayNotTried, GatewayTimeout, GatewayUnavailable


class Mood(Enum):
    WELL = auto()
    AWAY = auto()  # 503
    NOT_CALLED = auto()  # the breaker is open
    LOSES_ANSWERS = auto()  # done, and nobody is told
    LOSES_ANSWERS_AND_LOOK_UPS = auto()
    LATE = auto()  # the request is still on its way when the caller has given up
    REFUSES_UNDOS = auto()
    REFUSES_CAPTURES = auto()


class FaultyProvider:
    def __init__(self, now: Callable[[], datetime]) -> None:
        self.real = MemoryPaymentGateway(now)
        self.mood = Mood.WELL
        self.keys: set[str] = set()
        self._under_way: list[Callable[[], Awaitable[PaymentAnswer]]] = []

    def room(self) -> int:
        return 0 if self.mood is Mood.NOT_CALLED else 64

    def is_away(self) -> bool:
        return self.mood is Mood.NOT_CALLED

    async def authorise(self, key: str, **asked: Any) -> PaymentAnswer:
        return await self._ask(key, lambda: self.real.authorise(key, **asked))

    async def capture(self, key: str, **asked: Any) -> PaymentAnswer:
        if self.mood is Mood.REFUSES_CAPTURES:
            return Refused("you may not do that")
        return await self._ask(key, lambda: self.real.capture(key, **asked))

    async def void(self, key: str, **asked: Any) -> PaymentAnswer:
        return await self._ask(key, lambda: self.real.void(key, **asked), undo=True)

    async def refund(self, key: str, **asked: Any) -> PaymentAnswer:
        return await self._ask(key, lambda: self.real.refund(key, **asked), undo=True)

    async def look_up(self, key: str) -> PaymentAnswer | None:
        match self.mood:
            case Mood.AWAY | Mood.LOSES_ANSWERS_AND_LOOK_UPS:
                raise GatewayUnavailable("503")
            case Mood.NOT_CALLED:
                raise GatewayNotTried("the breaker is open", 5.0)
            case _:
                return await self.real.look_up(key)

    async def _ask(
        self, key: str, request: Callable[[], Awaitable[PaymentAnswer]], *, undo: bool = False
    ) -> PaymentAnswer:
        self.keys.add(key)
        match self.mood:
            case Mood.AWAY:
                raise GatewayUnavailable("503")
            case Mood.NOT_CALLED:
                raise GatewayNotTried("the breaker is open", 5.0)
            case Mood.LATE:
                self._under_way.append(request)
                raise GatewayTimeout("no answer")
            case Mood.LOSES_ANSWERS | Mood.LOSES_ANSWERS_AND_LOOK_UPS:
                await request()
                raise GatewayTimeout("no answer")
            case Mood.REFUSES_UNDOS if undo:
                return Refused("you may not do that")
            case _:
                return await request()

    def voids(self, payment_id: UUID) -> None:
        """Somebody at the provider lets go of the amount, and tells nobody."""
        charge = self.real._charge(payment_id)
        if charge is not None and charge.state == "authorised":
            charge.state = "voided"

    async def late_requests_arrive(self) -> None:
        while self._under_way:
            with contextlib.suppress(GatewayUnavailable, GatewayTimeout):  # there is nobody to hear it
                await self._under_way.pop(0)()

    def mend(self) -> None:
        """From now on it is well, and so is every card."""
        self.mood = Mood.WELL
        self.real._declines_renewal.clear()
        for charge in self.real._charges.values():
            charge.method = "card"

    def state(self, payment_id: UUID) -> str:
        charge = self.real._charge(payment_id)
        return charge.state if charge else "none"

    def holds(self, payment_id: UUID) -> bool:
        """Whether it has the customer's money, or a hand on it."""
        charge = self.real._charge(payment_id)
        return charge is not None and (
            charge.state == "authorised" or (charge.state == "captured" and charge.captured > charge.refunded)
        )
