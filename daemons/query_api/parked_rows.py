"""The rows that wait behind an event which could not be applied, as they were a moment ago, to say so with an order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from uuid import UUID

from core.errors import OrderdeckError
from core.ports.dead_letters import MOST_BLOCKED, DeadLetter, DeadLetters, DeadLetterSearch
from core.projections import GROUPS

LOOK_EVERY = 1.0  # seconds between two looks, while somebody asks
READERS = [group.reader for group in GROUPS]  # a row of theirs is one that somebody asks for
MOST = MOST_BLOCKED * len(READERS)
WAITS_BEHIND = "Orderdeck-Waits-Behind"


class ParkedRows:
    """Looks beside the requests, so that none waits for it while the database is away."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters
        self._known: Mapping[UUID, DeadLetter] = {}
        self._looked_at = -LOOK_EVERY
        self._looking: asyncio.Task[None] | None = None

    def of(self, row: UUID) -> DeadLetter | None:
        """The event behind which the row waits, if there was one a moment ago."""
        if time.monotonic() - self._looked_at > LOOK_EVERY and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look())
        return self._known.get(row)

    async def now(self, row: UUID) -> DeadLetter | None:
        """The same, looked up now."""
        with contextlib.suppress(OrderdeckError):
            found = await self._letters.find(DeadLetterSearch(rows=[row], counted=False, limit=1))
            return found[0] if found else None
        return self._known.get(row)

    async def _look(self) -> None:
        self._looked_at = time.monotonic()
        with contextlib.suppress(OrderdeckError):
            found = await self._letters.find(DeadLetterSearch(readers=READERS, counted=False, limit=MOST))
            self._known = {letter.row: letter for letter in found}


def header(letter: DeadLetter | None) -> dict[str, str]:
    """The header of an answer that shows a row as it was before that event."""
    return {} if letter is None else {WAITS_BEHIND: str(letter.position)}
