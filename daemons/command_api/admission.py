"""Admission: while more sagas wait for a runner than the settings allow, no new order is taken. Off by default.

What waits is counted in the background, so no request waits for that. Other commands, and repeated ones, go on.
"""

from __future__ import annotations

import asyncio

import structlog
from prometheus_client import Gauge

from core.errors import BacklogFull, DatabaseFault, Unavailable
from core.fault_board import FaultBoard
from core.ports.log import EventStore
from core.ports.sagas import SagaLog
from core.services.execute import Terms

COUNT_EVERY = 1.0  # seconds between two counts
FAULT_LASTS = 20.0  # seconds for which /ready names a fault that kept us from counting
COME_BACK = 5  # seconds that a refused caller is asked to wait
PART = "counting the sagas that wait"  # its name on the FaultBoard

REFUSES = Gauge("orderdeck_command_api_refuses_orders", "1 while new orders are refused because too many sagas wait.")

log = structlog.get_logger(__name__)


class Admission:
    """`most`: how many sagas may wait; with 0, every order is taken and nothing is counted."""

    def __init__(self, sagas: SagaLog, store: EventStore, most: int, faults: FaultBoard) -> None:
        self._sagas = sagas
        self._store = store
        self._most = most
        self._faults = faults
        self._full = False

    async def keep(self) -> None:
        """Count once a second, until cancelled. While nobody can count, the last count still holds."""
        while self._most:
            try:
                await self.count()
            except Unavailable:
                pass
            except DatabaseFault as fault:
                self._faults.report(PART, fault, seconds=FAULT_LASTS)
            else:
                self._faults.clear(PART)
            await asyncio.sleep(COUNT_EVERY)

    async def count(self) -> None:
        full = (await self._sagas.backlog(most=self._most + 1)).waiting > self._most
        if full and not self._full:
            log.warning("refuses new orders", most_waiting_sagas=self._most)
        elif self._full and not full:
            log.info("takes new orders again", most_waiting_sagas=self._most)
        self._full = full
        REFUSES.set(full)

    async def admit(self, terms: Terms) -> None:
        """Raise BacklogFull if an order with these terms is not taken now."""
        if not self._full or terms.dry_run:
            return
        if terms.key is not None and await self._store.answered(terms.key.scope, terms.key.key) is not None:
            return  # it was taken before, and gets the same answer again
        raise BacklogFull(self._words(), COME_BACK)

    def degraded(self) -> str | None:
        """Why new orders are refused, in words."""
        return self._words() if self._full else None

    def _words(self) -> str:
        return f"more than {self._most:,} sagas wait for a runner, so no new order is taken for now"
