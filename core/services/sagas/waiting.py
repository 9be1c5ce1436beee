"""The sagas of one runner that wait until the payment provider can be called, in the order in which they came.

While they wait, nobody claims them. When there is room for calls, the first of them are made due.
"""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import islice

from core.domain.message import SagaId
from core.ports.sagas import SagaLog

HOLD = timedelta(seconds=20)  # a waiting saga is due so far ahead; if its runner dies, another one claims it then
LEAST_AHEAD = 10.0  # seconds; a saga that would be due earlier than that is put off again
MOST_TOGETHER = 1_000  # rows in one statement


class WaitingSagas:
    def __init__(self, sagas: SagaLog) -> None:
        self._sagas = sagas
        self._epochs: dict[SagaId, int] = {}
        self._due: dict[SagaId, float] = {}  # by the monotonic clock

    def __len__(self) -> int:
        return len(self._epochs)

    def add(self, saga_id: SagaId, epoch: int) -> None:
        """A saga that was parked with this epoch, and is due after HOLD."""
        self._epochs[saga_id] = epoch
        self._due[saga_id] = time.monotonic() + HOLD.total_seconds()

    def remove(self, saga_id: SagaId) -> None:
        self._epochs.pop(saga_id, None)
        self._due.pop(saga_id, None)

    async def look(self, room: int) -> None:
        """Make as many sagas due as there is room for, and put the others off if they are due soon."""
        first = dict(islice(self._epochs.items(), room))
        if first:
            await self._sagas.set_due(first, due_in=timedelta())
            for saga_id in first:
                self.remove(saga_id)
        until = time.monotonic() + LEAST_AHEAD
        soon = [saga_id for saga_id, due in self._due.items() if due < until]
        for n in range(0, len(soon), MOST_TOGETHER):
            some = {each: self._epochs[each] for each in soon[n : n + MOST_TOGETHER] if each in self._epochs}
            await self._sagas.set_due(some, due_in=HOLD)
            for saga_id in some:
                if saga_id in self._due:
                    self._due[saga_id] = time.monotonic() + HOLD.total_seconds()
