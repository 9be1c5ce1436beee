"""The circuit breaker of the payment provider: while all calls fail, it stops calls from being made.

We wrote our own, because there is no well-kept one for asyncio. Its states are those of Nygard, "Release It!" (2007).
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
    """One call that may be made. It tells the breaker's probe from a call that began before the breaker opened."""

    __slots__ = ()


class Breaker:
    """Opens when five charges in a row fail, or half of the last twenty. Later it lets one call through, as a probe.

    A charge that fails again and again counts once, so that a problem of one charge does not stop the others.
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
        """Let a call through, or raise GatewayNotTried. The caller must then report how the call went."""
        call = Admitted()
        if self.closed:
            return call
        left = self._until - self._clock()
        if left > 0 or self._probe is not None:
            raise GatewayNotTried("the payment provider is away and is not being called", max(left, 1.0))
        self._probe = call
        return call

    def succeeded(self, charge: str, call: Admitted) -> None:
        """Report that the provider answered, even if it refused. This closes the breaker, whichever call it was."""
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
            return  # a call that began before the breaker opened tells nothing new
        if (charge, False) not in self._calls:
            self._calls.append((charge, False))
        outcomes = [fine for _, fine in self._calls]
        row = len(outcomes) >= IN_A_ROW and not any(outcomes[-IN_A_ROW:])
        if row or (len(outcomes) == WINDOW and outcomes.count(False) * 2 >= WINDOW):
            self._open(FIRST_OPEN)

    def not_made(self, call: Admitted) -> None:
        """Report that an admitted call was given up, and says nothing about the provider."""
        if call is self._probe:
            self._probe = None

    def _open(self, seconds: float) -> None:
        self._open_for = seconds
        self._until = self._clock() + seconds * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        log.warning("the payment provider is away: it is not called for a while", seconds=seconds)
