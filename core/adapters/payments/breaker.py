"""The circuit breaker before the payment provider: while the provider is away for everybody, nobody calls it.

Our own, and small: there is no well-kept breaker for asyncio. States and names as in Nygard, "Release It!" (2007).
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable

import structlog

from core.errors import GatewayNotTried

WINDOW = 20  # calls
IN_A_ROW = 5
FIRST_OPEN, LONGEST_OPEN = 5.0, 60.0  # seconds

log = structlog.get_logger(__name__)


class Admitted:
    """One call that may be made; the breaker tells its probe from a call that began before it opened by this."""

    __slots__ = ()


class Breaker:
    """Opens at five failed charges in a row, or when half of the last twenty failed; then one call probes at a time.

    One charge that fails again and again counts once: it is its own trouble, and must not keep the others waiting.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: deque[tuple[str, bool]] = deque(maxlen=WINDOW)
        self._open_for = 0.0  # 0: closed
        self._until = 0.0
        self._probe: Admitted | None = None

    @property
    def closed(self) -> bool:
        return not self._open_for

    def admit(self) -> Admitted:
        """Raises GatewayNotTried while it is open. Whoever is admitted must say how that call went."""
        call = Admitted()
        if self.closed:
            return call
        left = self._until - self._clock()
        if left > 0 or self._probe is not None:
            raise GatewayNotTried("the payment provider is away and is not being called", max(left, 1.0))
        self._probe = call
        return call

    def succeeded(self, charge: str, call: Admitted) -> None:
        """The provider answered, if only with a no. Whichever call this is: the provider is there."""
        self.not_made(call)
        if not self.closed:
            log.info("the payment provider is back")
            self._open_for = 0.0
            self._probe = None
            self._calls.clear()
        self._calls.append((charge, True))

    def failed(self, charge: str, call: Admitted) -> None:
        if not self.closed:
            if call is self._probe:
                self._probe = None
                self._open(min(2 * self._open_for, LONGEST_OPEN))
            return  # one that began before the breaker opened says nothing new
        if (charge, False) not in self._calls:
            self._calls.append((charge, False))
        outcomes = [fine for _, fine in self._calls]
        row = len(outcomes) >= IN_A_ROW and not any(outcomes[-IN_A_ROW:])
        if row or (len(outcomes) == WINDOW and outcomes.count(False) * 2 >= WINDOW):
            self._open(FIRST_OPEN)

    def not_made(self, call: Admitted) -> None:
        """The call was admitted, and given up before it said anything about the provider."""
        if call is self._probe:
            self._probe = None

    def _open(self, seconds: float) -> None:
        self._open_for = seconds
        self._until = self._clock() + seconds * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        log.warning("the payment provider is away: it is not called for a while", seconds=seconds)
