"""Clock: the same time for every process."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The time in UTC by the database's clock.

        Leases and `recorded_at` use that clock too, and deadlines of steps are counted from `recorded_at`.
        """
        ...
