"""The circuit breaker of the payment provider: while it answers nobody, it stops calls from being made.

We wrote our own, because there is no well-kept one for asyncio. Its states are those of Nygard, "Release It!" (2007).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from math import inf

import structlog

from core.errors import GatewayNotTried
from core.metrics import BREAKER_CHANGES, BREAKER_OPEN

IN_A_ROW = 5  # failed calls, with no answer to any other call in between
TRIES = 5  # failed tries of each of IN_A_ROW charges, with no charge executed meanwhile
MOST_COUNTED = 64  # charges whose failed tries are counted
FIRST_OPEN, LONGEST_OPEN = 5.0, 60.0  # seconds
LATELY = 2 * LONGEST_OPEN  # seconds; a waiting call is tried more often
LOG_EVERY = 1.0  # seconds between two log lines about changes

log = structlog.get_logger(__name__)


class Admitted:
    """One call that may be made: when it began, and how often the breaker had opened or closed before."""

    __slots__ = ("began", "changes")

    def __init__(self, began: float, changes: int) -> None:
        self.began = began
        self.changes = changes


class Breaker:
    """Opens when the provider answers nobody. Later it lets one call through, as a probe, whose answer decides.

    A failed call counts only if nothing has been answered since it began. So charges that fail, however many they are,
    do not open the breaker while others are answered. When five calls in a row fail although the provider was reached,
    the caller asks the provider something that concerns no charge. The breaker opens only if that fails as well, or if
    five charges have each failed five times and none has been executed meanwhile. How long that takes says nothing:
    with thousands of charges that fail at first, it may be long until one of them is tried again.

    Only calls that were admitted after the last change count, so a late answer to an older call changes nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changes = 0
        self._row = 0
        self._answered_at = self._executed_at = -inf
        self._failing: dict[str, int] = {}  # failed tries since a charge was executed, by charge
        self._asking: Admitted | None = None  # the call whose caller asks the provider whether it answers at all
        self._open_for = 0.0  # 0: closed
        self._executes_nothing = False  # it was opened although look-ups are answered
        self._until = 0.0
        self._wanted_at = -inf
        self._probe: Admitted | None = None
        self._logged_at, self._logged_changes = -inf, 0

    @property
    def closed(self) -> bool:
        return not self._open_for

    @property
    def holds_back(self) -> bool:
        """Whether the breaker is open, and keeps calls waiting. Who calls nobody does not learn that he is back."""
        return not self.closed and self._clock() - self._wanted_at < LATELY

    @property
    def may_probe(self) -> bool:
        """Whether the breaker is open and would now let one call through."""
        return not self.closed and self._probe is None and self._clock() >= self._until

    def admit(self) -> Admitted:
        """Let a call through, or raise GatewayNotTried. The caller must then report how the call went."""
        self.log_change()
        self._wanted_at = self._clock()
        call = Admitted(self._wanted_at, self._changes)
        if not self.closed:
            if not self.may_probe:
                left = max(self._until - self._clock(), 1.0)
                raise GatewayNotTried("the payment provider is away and is not being called", left)
            self._probe = call
        return call

    # --- how a call went ------------------------------------------------------------------------------------
    def answered(self, call: Admitted, *, executed: bool) -> None:
        """Report that the provider answered, even if it refused. `executed`: it has decided about a charge."""
        if self._is_late(call):
            return
        if call is self._probe:
            self._close()
        self._answered(executed=executed)

    def failed(self, call: Admitted, charge: str, *, reached: bool) -> bool:
        """Report that a call failed. `reached`: the provider was reached, and answered 503 or nothing.

        If this returns True, the caller has to ask the provider something else and report that with `asked`.
        """
        if self._is_late(call):
            return False
        if call is self._probe:
            if reached and not self._executes_nothing:
                return True
            self._open_again(at_most=FIRST_OPEN if reached else LONGEST_OPEN)  # the probe may have met a bad card
            return False
        if reached and call.began >= self._executed_at and self._executes_none(charge):
            self._open(FIRST_OPEN, executes_nothing=True)
            return False
        if call.began < self._answered_at:
            return False
        self._row += 1
        if self._row < IN_A_ROW or (reached and self._asking is not None):
            return False
        if reached:
            self._asking = call
            return True
        self._open(FIRST_OPEN)
        return False

    def asked(self, call: Admitted, *, answers: bool) -> None:
        """Report whether the provider answered the question that `failed` wanted for this call."""
        if self._is_late(call):
            return
        self._asking = None
        if call is self._probe:
            if answers:
                self._close()
            else:
                self._open_again()
        elif answers:
            self._answered(executed=False)
        elif self._row >= IN_A_ROW:
            self._open(FIRST_OPEN)

    def not_made(self, call: Admitted) -> None:
        """Report that an admitted call, or the question after it, was given up and says nothing about the provider."""
        if self._is_late(call):
            return
        if call is self._probe:
            self._probe = None
        if call is self._asking:
            self._asking = None

    # --- changes --------------------------------------------------------------------------------------------
    def log_change(self) -> None:
        """Log what the breaker has changed to since the last log line about it, at most once a second."""
        changes, now = self._changes - self._logged_changes, self._clock()
        if not changes or now - self._logged_at < LOG_EVERY:
            return
        self._logged_at, self._logged_changes = now, self._changes
        if self.closed:
            log.info("the payment provider is back", changes=changes)
        else:
            log.warning(
                "the payment provider is away: it is not called for a while", seconds=self._open_for, changes=changes
            )

    def _is_late(self, call: Admitted) -> bool:
        return call.changes != self._changes

    def _answered(self, *, executed: bool) -> None:
        self._row = 0
        self._answered_at = self._clock()
        if executed:
            self._executed_at = self._answered_at
            self._failing.clear()

    def _close(self) -> None:
        self._open_for = 0.0
        self._change()

    def _executes_none(self, charge: str) -> bool:
        """Count a failed try of a charge; return whether so many charges failed so often that no charge is executed."""
        if charge in self._failing or len(self._failing) < MOST_COUNTED:
            self._failing[charge] = self._failing.get(charge, 0) + 1
        return sum(tries >= TRIES for tries in self._failing.values()) >= IN_A_ROW

    def _open_again(self, at_most: float = LONGEST_OPEN) -> None:
        self._open(min(2 * self._open_for, at_most), executes_nothing=self._executes_nothing)

    def _open(self, seconds: float, *, executes_nothing: bool = False) -> None:
        self._open_for = seconds
        self._executes_nothing = executes_nothing
        self._until = self._clock() + seconds * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        self._change()

    def _change(self) -> None:
        self._changes += 1
        BREAKER_OPEN.set(not self.closed)
        BREAKER_CHANGES.labels("closed" if self.closed else "open").inc()
        self._row, self._asking, self._probe = 0, None, None
        self._failing.clear()
        self.log_change()
