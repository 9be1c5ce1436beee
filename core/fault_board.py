"""The faults that parts of this process have now. They show in /ready, and each is logged once."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from core.errors import in_words

log = structlog.get_logger(__name__)


class FaultBoard:
    """Each part has a name that an operator understands, such as "the live stream", and at most one fault."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._faults: dict[str, tuple[str, float]] = {}  # by part: the reason, and when to forget it

    def note(self, part: str, error: Exception, *, seconds: float = float("inf")) -> bool:
        """Remember the fault of a part for so many seconds. Returns True when no part has the same fault already."""
        reason = in_words(error)
        known = self._current()
        self._faults[part] = (reason, self._monotonic() + seconds)
        return reason not in known.values()

    def report(self, part: str, error: Exception, *, seconds: float = float("inf")) -> None:
        """Note the fault, and log it if it is new for this part; with the traceback if it is new for every part."""
        before = self._current().get(part)
        new = self.note(part, error, seconds=seconds)
        if before != self._faults[part][0]:
            log.error("meets a fault", part=part, reason=self._faults[part][0], exc_info=error if new else None)

    def clear(self, part: str) -> None:
        """Forget the fault of a part, because the part works; log that if it had one."""
        if self._faults.pop(part, None) is not None:
            log.info("works again", part=part)

    def __contains__(self, part: str) -> bool:
        return part in self._current()

    @property
    def reason(self) -> str | None:
        """The faults as one sentence for /ready; None when there are none."""
        faults = self._current()
        if not faults:
            return None
        part, reason = next(iter(faults.items()))
        others = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        return f"{reason} ({part}{others})"

    def _current(self) -> dict[str, str]:
        if not self._faults:
            return {}
        now = self._monotonic()
        for part in [part for part, (_, until) in self._faults.items() if until < now]:
            del self._faults[part]
        return {part: reason for part, (reason, _) in self._faults.items()}
