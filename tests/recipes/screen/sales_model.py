"""SalesModel: the sales of each day, as plain data readable without a screen (its place would be tui/viewmodels)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from tui.gateway import Gateway, GatewayError
from tui.viewmodels.ring import NumberedFrame
from tui.viewmodels.statuses import SHOWN


class DayOfSales(Struct, frozen=True):
    day: date
    currency: str
    orders: int
    cancelled: int
    revenue: Decimal


class SalesAnswer(Struct, frozen=True):
    """What this screen reads of `GET /api/v1/stats`; fields that it does not show are left out."""

    days: tuple[DayOfSales, ...] = ()


class SalesModel:
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.phase: Literal["loading", "ready", "error"] = "loading"
        self.error = ""
        self.changes = 0  # events of orders since the figures were read
        self.best_first = False
        self._days: Sequence[DayOfSales] = ()

    @property
    def days(self) -> Sequence[DayOfSales]:
        """The newest day first, or the one with the most revenue."""
        return sorted(self._days, key=lambda day: day.revenue, reverse=True) if self.best_first else self._days

    async def load(self) -> None:
        self.changes = 0
        try:
            self._days = (await self.gateway.read("/api/v1/stats", SalesAnswer)).days
        except GatewayError as error:
            self.phase, self.error = "error", str(error)
        else:
            self.phase = "ready"

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        self.changes += sum(frame.event_type in SHOWN for _, frame in fresh)
