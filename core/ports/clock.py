"""Clock: one time for every process."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """UTC by the database's clock, as leases are: a step's deadline is counted from when its event was recorded."""
        ...
