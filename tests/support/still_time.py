"""An event loop whose time stands still until it is told to pass: hours of waiting in no time, the same every time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

R = TypeVar("R")

DAWN = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)


class StillLoop(asyncio.SelectorEventLoop):
    """`settle` runs all that is ready; nothing ever waits for the world, there is none."""

    def __init__(self) -> None:
        super().__init__(_NothingComes(self.stop))
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def settle(self) -> None:
        """Run until everything waits: for a timer, or for somebody."""
        self.run_forever()

    def pass_time(self, seconds: float) -> None:
        until = self._now + seconds
        while (timer := self.next_timer()) is not None and timer <= until:
            self._now = timer
            self.settle()
        self._now = until
        self.settle()

    def next_timer(self) -> float | None:
        waiting = [handle.when() for handle in self._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
        return min(waiting, default=None)

    def finish(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Its result; time passes as it needs."""
        task = self.create_task(coroutine)
        self.settle()
        while not task.done():
            timer = self.next_timer()
            assert timer is not None, "it waits for what never comes"
            self.pass_time(timer - self._now)
        return task.result()

    def end(self) -> None:
        """Kill what is left."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.settle()
        self.close()

    def now(self) -> datetime:
        """So that the loop is a `core.ports.clock.Clock` too."""
        return DAWN + timedelta(seconds=self._now)


class _NothingComes(selectors.SelectSelector):
    def __init__(self, idle: Any) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout != 0:  # nothing is ready
            self._idle()
        return []
