"""KnownNumbers: the numbers of the orders that events are about, by the orders' ids; at most so many are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tui.gateway import Gateway, GatewayError, ServiceRefused
from tui.viewmodels.event_row import row_of
from tui.viewmodels.ring import RingFrame

GIVES_NUMBER = "OrderCreated"
MOST = 5_000
MOST_LEARNT = 50  # events of one tick that are decoded for their numbers; the others are asked for when they are seen
MOST_ASKED = 60  # orders that are asked for at once: those on one screen


class KnownNumbers:
    """An id that is of no order has an empty number."""

    def __init__(self) -> None:
        self._numbers: dict[str, str] = {}

    def of(self, order_id: str) -> str:
        return self._numbers.get(order_id, "")

    def note(self, order_id: str, number: str) -> None:
        self._numbers.pop(order_id, None)  # so that it counts as new
        self._numbers[order_id] = number
        if len(self._numbers) > MOST:
            del self._numbers[next(iter(self._numbers))]

    def learn(self, frames: Sequence[RingFrame]) -> None:
        """Note the numbers in the newest of the events that give one."""
        for frame in [frame for frame in frames if frame.event_type == GIVES_NUMBER][-MOST_LEARNT:]:
            row = row_of(frame)
            if row.order_number:
                self.note(row.order_id, row.order_number)

    def unknown(self, order_ids: Iterable[str]) -> list[str]:
        return [id_ for id_ in dict.fromkeys(order_ids) if id_ and id_ not in self._numbers][:MOST_ASKED]

    async def ask(self, gateway: Gateway, order_ids: Sequence[str]) -> None:
        """Ask for the orders one after the other; while the service does not answer, they stay unknown."""
        for order_id in order_ids:
            try:
                order = await gateway.order(order_id)
            except ServiceRefused as error:
                if error.status not in (400, 404):
                    return
                self.note(order_id, "")
            except GatewayError:
                return
            else:
                self.note(order_id, order.order_number[:100])
